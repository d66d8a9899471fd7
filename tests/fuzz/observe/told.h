// Has the front end read what a node tells of its calls.
#pragma once

#include <cstddef>
#include <span>

namespace ebb::frontend::observe::fuzz {

/// The first byte chooses between spans and histograms, the rest is what the node sends. Ends the program where something comes
/// out that the front end promises not to show.
void check_told(std::span<const std::byte> input);

}  // namespace ebb::frontend::observe::fuzz
