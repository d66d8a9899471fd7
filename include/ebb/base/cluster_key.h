// The secret that a cluster's nodes share.
#pragma once

#include <array>
#include <cstddef>

namespace ebb {

/// What every node of a cluster holds, and no one else: 32 bytes from a cryptographic source. Never part of a command
/// line.
using ClusterKey = std::array<std::byte, 32>;

}  // namespace ebb
