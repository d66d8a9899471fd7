// The node's network: finds the device, and gives every core that enters its part of it.
#pragma once

#include <cstdint>
#include <optional>

#include "ebb/base/result.h"
#include "kernel/net/stack.h"

namespace kernel::platform {

/// The calling core's stack. Errors: unavailable (this node has no usable network device; the text says why), internal
/// (the calling thread is no core).
ebb::Result<kernel::net::Stack*> network_stack();

/// The node's address in host byte order; nullopt until it has one. Any core.
std::optional<std::uint32_t> network_address() noexcept;

}  // namespace kernel::platform
