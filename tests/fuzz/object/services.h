// What another node may ask of this one's own objects: any of their methods, with any arguments.
#pragma once

#include <cstddef>
#include <span>

namespace ebb::detail::fuzz {

/// Begins a node of one core with an object of each kind, and has it carry out the calls that the input tells of, many at a time.
/// Those that wait for something when all have begun are left where they are, and the node ends.
void play(std::span<const std::byte> input);

}  // namespace ebb::detail::fuzz
