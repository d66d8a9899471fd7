// Encoded data on its way.
#pragma once

#include <cstddef>
#include <vector>

namespace ebb {

/// An encoded argument list or result.
using Bytes = std::vector<std::byte>;

}  // namespace ebb
