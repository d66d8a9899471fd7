// What another node may ask of this one's own objects: any of their methods, with any arguments.
#pragma once

#include <cstddef>
#include <map>
#include <span>

#include "ebb/base/ids.h"

namespace ebb::detail::fuzz {

/// Has a node of one core with an object of each kind, which goes on from one input to the next, carry out the calls that the input
/// tells of, many at a time. Those that wait for something when all have begun are left waiting.
void play(std::span<const std::byte> input);

/// Calls that have ended so far, by the object of the runtime that they were for, if one of its methods ran: it was there, and its
/// arguments could be decoded. Between two inputs only.
std::map<ObjectId, std::size_t> ran();

}  // namespace ebb::detail::fuzz
