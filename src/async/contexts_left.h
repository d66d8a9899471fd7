// For those who hand events to a core that may block there.
#pragma once

#include <cstddef>

namespace ebb::detail {

/// How many events of the calling core may block before Context::can_block() is false, the running one among them.
std::size_t contexts_left() noexcept;

}  // namespace ebb::detail
