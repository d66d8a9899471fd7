#include "ebb/base/node_local.h"

namespace ebb::detail {

constinit std::uint32_t simulated_node = 0;

}  // namespace ebb::detail
