#include "kernel/platform/network.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <string>
#include <utility>

#include "ebb/platform/platform.h"
#include "kernel/cpu/interrupts.h"
#include "kernel/memory/address_space.h"
#include "kernel/memory/pages.h"
#include "kernel/pci/device.h"
#include "kernel/pci/msix.h"
#include "kernel/pci/port_config_space.h"
#include "kernel/platform/network_core.h"
#include "kernel/platform/poll.h"
#include "kernel/virtio/net_format.h"
#include "kernel/virtio/pci_transport.h"

namespace kernel::platform {
namespace {

using ebb::Errc;
using ebb::Error;
using ebb::Result;
using kernel::net::Ipv4Config;

constexpr auto kCommandPatience = std::chrono::seconds(1);
constexpr char kHostName[] = "ebb-node";

/// The device with everything that must live as long as it.
struct Link {
  std::unique_ptr<virtio::PciTransport> transport;
  std::unique_ptr<virtio::net::NetDevice> device;
  std::unique_ptr<NetworkNode> node;
};

/// All of the node's network. Made by the first core that enters, and never destroyed.
struct Network {
  std::mutex mutex;
  bool looked = false;           // for a device
  std::optional<Error> missing;  // why there is none
  std::optional<Link> link;      // not changed once it is there
  std::array<bool, ebb::kMaxCores> entered{};
  std::size_t active_pairs = 1;
};

Network& network() {
  static Network* const made = new Network;
  return *made;
}

thread_local NetworkCore* own_core = nullptr;

/// Ending hlt is all that a network interrupt is for.
[[gnu::target("general-regs-only")]] void on_interrupt(void*) {}

bool is_network_device(const pci::Function& function) {
  return function.vendor == virtio::net::kVendor &&
         (function.device == virtio::net::kModernDeviceId || function.device == virtio::net::kTransitionalDeviceId);
}

Result<Link> find_device() {
  pci::PortConfigSpace config;
  const auto functions = pci::functions_on_bus_0(config);
  const auto found = std::find_if(functions.begin(), functions.end(), is_network_device);
  if (found == functions.end()) {
    return Error(Errc::unavailable, "this node has no network device; give it a virtio-net device on PCI bus 0");
  }
  pci::WindowAllocator allocator(config);
  const auto windows = pci::enable_windows(config, found->address, allocator);
  if (!windows) return windows.error();
  auto transport = virtio::PciTransport::create(config, found->address, *windows, memory::map_device);
  if (!transport) return std::move(transport).error();
  auto msix = pci::MsixTable::enable(config, found->address, *windows, memory::map_device);
  if (!msix) return std::move(msix).error();

  const std::size_t cores = ebb::platform::available_cores();
  const std::size_t interrupts = std::min(msix->size(), cores);
  for (std::size_t i = 0; i < interrupts; ++i) {
    const auto message = cpu::allocate_msi(static_cast<ebb::CoreIndex>(i), on_interrupt, nullptr);
    if (!message) return message.error();
    msix->set(i, message->address, message->data);
  }
  Link link;
  link.transport = std::move(*transport);
  auto device = virtio::net::NetDevice::create(*link.transport, cores, interrupts, memory::allocate_pages);
  if (!device) return std::move(device).error();
  link.device = std::move(*device);
  link.node = std::make_unique<NetworkNode>(*link.device, cores, memory::free_pages() * memory::kPageBytes / 2);
  return link;
}

/// The device spreads frames over the queue pairs of cores that look at them: those from core 0 on without a gap.
void adjust_pairs(Network& all) {
  const auto end = std::find(all.entered.begin(), all.entered.end(), false);
  const auto prefix = static_cast<std::size_t>(end - all.entered.begin());
  const std::size_t pairs = std::clamp<std::size_t>(prefix, 1, all.link->device->pair_count());
  if (pairs == all.active_pairs) return;
  const ebb::platform::Instant give_up = ebb::platform::Clock::now() + kCommandPatience;
  const auto done = all.link->device->set_active_pairs(pairs, [give_up] { return ebb::platform::Clock::now() < give_up; });
  if (done) {
    all.active_pairs = pairs;
  } else {
    ebb::platform::write_log("ebb: network: " + done.error().text());
  }
}

NetworkCore& make_core(Network& all, ebb::CoreIndex index) {
  NetworkNode& node = *all.link->node;
  auto* const core = new NetworkCore(node, index);
  node.add(ebb::to_number(index), *core);
  if (ebb::to_number(index) == 0) {
    core->stack().start_dhcp(kHostName, [&node](std::optional<Ipv4Config> address) { node.set_address(address); });
  }
  return *core;
}

}  // namespace

void enter_network(ebb::CoreIndex index) noexcept {
  Network& all = network();
  const std::lock_guard lock(all.mutex);
  if (!std::exchange(all.looked, true)) {
    auto found = find_device();
    if (found) {
      all.link = std::move(*found);
    } else {
      all.missing = std::move(found).error();
    }
  }
  if (!all.link) return;
  own_core = all.link->node->core(ebb::to_number(index));
  if (own_core == nullptr) own_core = &make_core(all, index);
  register_poller(index, {[](void* core) { return static_cast<NetworkCore*>(core)->poll(); },
                          [](void* core) { return static_cast<NetworkCore*>(core)->before_sleep(); }, own_core});
  all.entered[ebb::to_number(index)] = true;
  adjust_pairs(all);
}

void leave_network(ebb::CoreIndex index) noexcept {
  Network& all = network();
  const std::lock_guard lock(all.mutex);
  own_core = nullptr;
  register_poller(index, {});
  all.entered[ebb::to_number(index)] = false;
  if (all.link) adjust_pairs(all);
}

ebb::Result<kernel::net::Stack*> network_stack() {
  if (own_core != nullptr) return &own_core->stack();
  Network& all = network();
  const std::lock_guard lock(all.mutex);
  if (all.missing) return Error(Errc::unavailable, all.missing->text());
  return Error(Errc::internal, "the network is used by a thread that is no core; use it from an event");
}

std::optional<std::uint32_t> network_address() noexcept {
  if (own_core != nullptr) {
    const auto address = own_core->node().address();
    return address ? std::optional(address->address) : std::nullopt;
  }
  Network& all = network();
  const std::lock_guard lock(all.mutex);
  if (!all.link) return std::nullopt;
  const auto address = all.link->node->address();
  return address ? std::optional(address->address) : std::nullopt;
}

}  // namespace kernel::platform
