#include "ebb/base/queue_depth.h"

#include <array>

#include "ebb/base/node_local.h"

namespace ebb::detail {
namespace {

// Cores must not share a cache line of them.
struct alignas(64) CoreDepths {
  std::array<DepthCell, kBoundedKinds> cells{};
};
struct NodeDepths {
  std::array<CoreDepths, kMaxCores> cores{};
};
constinit NodeLocal<NodeDepths> depths;

constexpr std::array<const char*, kBoundedKinds> kNames = {
    "pending calls", "waiting sends", "output bytes",           "incoming calls", "waiting turns", "calls of an object",
    "unsent writes", "collectives",   "remembered collectives", "streams",        "kept parcels"};

}  // namespace

DepthCell& depth_of(Bounded what, CoreIndex core) noexcept {
  return depths->cores[to_number(core)].cells[static_cast<std::size_t>(what)];
}

const char* name_of(Bounded what) noexcept { return kNames[static_cast<std::size_t>(what)]; }

}  // namespace ebb::detail
