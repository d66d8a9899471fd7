// Feeds one connection with what a peer may send, without a network.
#pragma once

#include <cstddef>
#include <span>

namespace ebb::messenger::fuzz {

/// The first byte says how long the pieces are that the rest arrives in, whether the peer has shaken hands before, and whether
/// calls wait for its answers (they have the ids 0, 1 and 2). Ends the program where the connection takes the pieces for
/// something else than the whole, or goes on after its end, or where a call does not end once. On no core.
void check(std::span<const std::byte> input);

}  // namespace ebb::messenger::fuzz
