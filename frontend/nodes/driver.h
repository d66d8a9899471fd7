// What the cluster asks of whoever can start nodes: libvirt, or plain Linux processes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "ebb/base/cluster_key.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/platform/stream.h"

namespace ebb::frontend::nodes {

/// Nodes that one driver runs at a time; start() beyond it answers resource_exhausted.
inline constexpr std::size_t kMaxNodes = 256;

/// One node to start. `image` is what it runs: a bare-metal ELF for libvirt, a Linux program for process.
struct NodeSpec {
  NodeId id = kNoNode;
  std::size_t cores = 1;
  std::size_t memory_mib = 64;
  std::filesystem::path image;
  platform::Endpoint frontend;
  ClusterKey key{};
};

/// Hears about the nodes of a driver, on threads of the driver: an implementation only passes the news on
/// (Core::post) and returns.
class DriverObserver {
 public:
  virtual ~DriverObserver() = default;
  /// One line of the node's console, without its newline; at most kMaxLineBytes, longer ones come in pieces.
  virtual void on_console_line(NodeId node, std::string_view line) = 0;
  /// The node has ended, whether asked to or not; after its last console line. `reason` is one clear phrase
  /// ("killed by signal 9"). Once for each start() that succeeded.
  virtual void on_ended(NodeId node, std::string reason) = 0;
};

/// Starts and stops nodes. Every call may block for seconds, so it is made off the cores; any thread, also several at
/// once for different nodes. Destroying a driver stops what it runs.
class Driver {
 public:
  virtual ~Driver() = default;
  /// "process" or "libvirt".
  virtual std::string_view name() const noexcept = 0;
  /// Says, before anything starts, why `count` nodes like `spec` cannot run here: image, rights, memory.
  virtual Result<void> check(const NodeSpec& spec, std::size_t count) = 0;
  /// Starts a node; it is under way on return, not yet a member of the cluster.
  virtual Result<void> start(const NodeSpec& spec) = 0;
  /// Ends a node at once and waits until it has ended (bounded). not_found if this driver does not run it.
  virtual Result<void> stop(NodeId node) = 0;
};

/// The arguments by which a node finds its front end; no secret among them.
std::string node_arguments(const NodeSpec& spec);

}  // namespace ebb::frontend::nodes
