// Starts domains paused, opens their console, resumes them, and follows each console to its end.
#include "frontend/nodes/libvirt/libvirt_driver.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "frontend/nodes/libvirt/domain_xml.h"
#include "frontend/nodes/libvirt/key_file.h"
#include "frontend/nodes/libvirt/leftovers.h"
#include "frontend/nodes/libvirt/libvirt_connection.h"
#include "frontend/nodes/libvirt/network.h"
#include "frontend/nodes/libvirt/network_use.h"
#include "frontend/nodes/line_splitter.h"

namespace ebb::frontend::nodes {
namespace {

constexpr auto kStopLimit = std::chrono::seconds(10);
/// What QEMU takes beside the node's own memory.
constexpr std::uint64_t kOverheadMib = 32;

/// A /dev/kvm may exist without either; only these run a node's instructions directly.
bool has_hardware_virtualization() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    line += ' ';
    return (line.find(" vmx ") != std::string::npos || line.find(" svm ") != std::string::npos) &&
           ::access("/dev/kvm", F_OK) == 0;
  }
  return false;
}

/// Memory that new domains can have, page cache included; 0 if libvirt does not tell.
std::uint64_t available_mib(virConnectPtr connection) {
  int count = 0;
  if (virNodeGetMemoryStats(connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, nullptr, &count, 0) != 0) return 0;
  std::vector<virNodeMemoryStats> statistics(static_cast<std::size_t>(count));
  if (virNodeGetMemoryStats(connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, statistics.data(), &count, 0) != 0) return 0;
  std::uint64_t kib = 0;
  for (const auto& entry : statistics) {
    const std::string_view field = entry.field;
    if (field == VIR_NODE_MEMORY_STATS_FREE || field == VIR_NODE_MEMORY_STATS_BUFFERS ||
        field == VIR_NODE_MEMORY_STATS_CACHED) {
      kib += entry.value;
    }
  }
  return kib / 1024;
}

NetworkSettings network_of(const LibvirtSettings& settings) { return {settings.network, settings.bridge, settings.address}; }

std::string node_name(NodeId id) { return "node " + std::to_string(to_number(id)); }

class LibvirtDriver final : public Driver {
 public:
  LibvirtDriver(LibvirtSettings settings, ConnectionPtr connection, NetworkUse use, DriverObserver& observer)
      : settings_(std::move(settings)), connection_(std::move(connection)), use_(std::move(use)),
        hardware_(has_hardware_virtualization()), observer_(observer) {}

  ~LibvirtDriver() override {
    std::vector<NodeId> all;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, node] : nodes_) all.push_back(id);
    }
    // The connection's end destroys what does not stop here.
    for (NodeId id : all) {
      if (auto stopped = stop(id); !stopped) break;
    }
    {
      std::lock_guard lock(mutex_);
      for (auto& [id, node] : nodes_) virStreamAbort(node.console.get());
    }
    for (auto& [id, node] : nodes_) node.thread.join();
    nodes_.clear();
    // Whoever is last removes it, whoever made it; what front ends that were killed leave, the next one or ebb host-clean does.
    if (use_.is_last()) {
      [[maybe_unused]] const auto removed = remove_network_if_unused(connection_.get(), network_of(settings_));
    }
  }

  std::string_view name() const noexcept override { return "libvirt"; }

  Result<void> check(const NodeSpec& spec, std::size_t count) override {
    if (::access(spec.image.c_str(), R_OK) != 0) {
      return Error(Errc::not_found, "cannot read the image '" + spec.image.string() + "': " + std::strerror(errno) +
                                        "; build it, or name another one");
    }
    if (count > kMaxNodes) {
      return Error(Errc::resource_exhausted, "at most " + std::to_string(kMaxNodes) + " nodes can run at a time");
    }
    const std::uint64_t available = available_mib(connection_.get());
    const std::uint64_t wanted = (spec.memory_mib + kOverheadMib) * count;
    if (available != 0 && wanted > available) {
      return Error(Errc::resource_exhausted,
                   std::to_string(count) + " nodes of " + std::to_string(spec.memory_mib) + " MiB need " +
                       std::to_string(wanted) + " MiB with QEMU's share, but this host has " +
                       std::to_string(available) + " MiB free: ask for fewer or smaller nodes");
    }
    return {};
  }

  Result<void> start(const NodeSpec& spec) override {
    forget_ended();
    // Somebody may have removed it since; the address that this front end listens on comes back with it.
    if (auto ensured = ensure_network(connection_.get(), network_of(settings_)); !ensured) return ensured;
    auto key_file = KeyFile::create(spec.id, spec.key);
    if (!key_file) return std::move(key_file).error();
    DomainSettings settings{"multilibos-" + std::to_string(::getpid()) + "-" + std::to_string(to_number(spec.id)),
                            settings_.network, hardware_, key_file->path().string(), current_owner()};
    settings.owner.key_file = settings.key_file;
    NodeSpec absolute = spec;
    absolute.image = std::filesystem::absolute(spec.image);
    DomainPtr domain(virDomainCreateXML(connection_.get(), domain_xml(absolute, settings).c_str(),
                                        VIR_DOMAIN_START_AUTODESTROY | VIR_DOMAIN_START_PAUSED));
    if (domain == nullptr) return libvirt_error("cannot start " + node_name(spec.id));
    StreamPtr console(virStreamNew(connection_.get(), 0));
    // Opened while paused, or what the node prints first would be lost.
    if (console == nullptr || virDomainOpenConsole(domain.get(), nullptr, console.get(), 0) != 0 ||
        virDomainResume(domain.get()) != 0) {
      Error error = libvirt_error("cannot start " + node_name(spec.id));
      virDomainDestroy(domain.get());
      return error;
    }
    std::lock_guard lock(mutex_);
    if (nodes_.contains(spec.id) || nodes_.size() >= kMaxNodes) {
      virDomainDestroy(domain.get());
      return Error(Errc::resource_exhausted, node_name(spec.id) + " runs already, or " + std::to_string(kMaxNodes) +
                                                 " nodes do");
    }
    Node& node = nodes_[spec.id];
    node.domain = std::move(domain);
    node.console = std::move(console);
    node.key_file = std::make_unique<KeyFile>(std::move(*key_file));
    node.thread = std::thread(&LibvirtDriver::follow, this, spec.id, node.console.get(), node.domain.get());
    return {};
  }

  Result<void> stop(NodeId id) override {
    virDomainPtr domain = nullptr;
    {
      std::lock_guard lock(mutex_);
      auto found = nodes_.find(id);
      if (found == nodes_.end()) return Error(Errc::not_found, node_name(id) + " does not run");
      domain = found->second.domain.get();
      virDomainRef(domain);
    }
    DomainPtr held(domain);
    if (virDomainDestroy(domain) != 0) {
      Error error = libvirt_error("cannot stop " + node_name(id));
      // A node that powered itself off in the meantime is what was asked for.
      if (error.code() != Errc::not_found && virDomainIsActive(domain) == 1) return error;
    }
    std::unique_lock lock(mutex_);
    const bool ended = changed_.wait_for(lock, kStopLimit, [&] {
      auto found = nodes_.find(id);
      return found == nodes_.end() || found->second.ended;
    });
    lock.unlock();
    if (!ended) return Error(Errc::unavailable, node_name(id) + " is destroyed but its console does not end");
    forget_ended();
    return {};
  }

 private:
  struct Node {
    DomainPtr domain;
    StreamPtr console;
    std::unique_ptr<KeyFile> key_file;
    bool ended = false;  // reported; its thread takes the mutex no more
    std::thread thread;
  };

  void forget_ended() {
    std::lock_guard lock(mutex_);
    for (auto node = nodes_.begin(); node != nodes_.end();) {
      if (node->second.ended) {
        node->second.thread.join();
        node = nodes_.erase(node);
      } else {
        ++node;
      }
    }
  }

  /// A node's thread: console and domain live until it is joined.
  void follow(NodeId id, virStreamPtr console, virDomainPtr domain) {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    LineSplitter lines;
    std::string panic;
    auto emit = [&](std::string_view line) {
      if (panic.empty() && line.starts_with("ebb-panic: ")) panic = line;
      observer_.on_console_line(id, line);
    };
    std::array<char, 4096> buffer;
    for (;;) {
      const int count = virStreamRecv(console, buffer.data(), buffer.size());
      if (count <= 0) break;
      lines.feed({buffer.data(), static_cast<std::size_t>(count)}, emit);
    }
    lines.finish(emit);
    // The console ends with QEMU. Should only the stream have broken, a node nobody hears must not live on.
    virDomainDestroy(domain);
    observer_.on_ended(id, panic.empty() ? "its domain is gone" : panic);
    std::lock_guard lock(mutex_);
    if (auto node = nodes_.find(id); node != nodes_.end()) {
      node->second.key_file.reset();
      node->second.ended = true;
    }
    changed_.notify_all();
  }

  const LibvirtSettings settings_;
  ConnectionPtr connection_;
  NetworkUse use_;  // from before the network was made
  const bool hardware_;
  DriverObserver& observer_;
  std::mutex mutex_;
  std::condition_variable changed_;  // a node ended
  std::map<NodeId, Node> nodes_;
};

}  // namespace

Result<std::unique_ptr<Driver>> make_libvirt_driver(const LibvirtSettings& settings, DriverObserver& observer) {
  auto connection = connect_to_libvirt(settings.uri);
  if (!connection) {
    const Error& error = connection.error();
    return Error(error.code(), error.text() + ", or use --driver process");
  }
  const char* type = virConnectGetType(connection->get());
  if (type == nullptr || std::string_view(type) != "QEMU") {
    return Error(Errc::invalid_argument, "'" + settings.uri + "' is no libvirt that runs QEMU; nodes need one such as qemu:///system");
  }
  reap_leftovers(connection->get());
  auto use = NetworkUse::share(settings.network);
  if (!use) return std::move(use).error();
  if (auto ensured = ensure_network(connection->get(), network_of(settings)); !ensured) return std::move(ensured).error();
  return std::unique_ptr<Driver>(std::make_unique<LibvirtDriver>(settings, std::move(*connection), std::move(*use), observer));
}

Result<CleanedHost> clean_libvirt_host(const LibvirtSettings& settings) {
  auto connection = connect_to_libvirt(settings.uri);
  if (!connection) return std::move(connection).error();
  CleanedHost cleaned;
  const Leftovers reaped = reap_leftovers(connection->get());
  cleaned.nodes = reaped.nodes;
  cleaned.key_files = reaped.key_files;
  auto use = NetworkUse::look(settings.network);
  if (!use) return std::move(use).error();
  if (!use->is_last()) {
    cleaned.network = CleanedHost::Network::in_use;
    return cleaned;
  }
  auto removed = remove_network_if_unused(connection->get(), network_of(settings));
  if (!removed) return std::move(removed).error();
  if (*removed) cleaned.network = CleanedHost::Network::removed;
  return cleaned;
}

}  // namespace ebb::frontend::nodes
