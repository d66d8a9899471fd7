// TCP streams of one core over its own network stack.
#include "ebb/platform/stream.h"

#include <utility>

#include "kernel/platform/network.h"

namespace ebb::platform {

Result<std::unique_ptr<Stream>> connect(Endpoint remote, StreamHandler& handler) {
  auto stack = kernel::platform::network_stack();
  if (!stack) return std::move(stack).error();
  return (*stack)->connect(remote, handler);
}

Result<std::unique_ptr<Listener>> listen(Endpoint local, AcceptHandler accept) {
  auto stack = kernel::platform::network_stack();
  if (!stack) return std::move(stack).error();
  return (*stack)->listen(local, std::move(accept));
}

std::optional<std::uint32_t> own_address() noexcept { return kernel::platform::network_address(); }

}  // namespace ebb::platform
