// What an application's ebb_main() gets from the front end: its arguments, and the cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/node.h"
#include "ebb/platform/platform.h"

namespace ebb {

/// A backend as the front end sees it.
struct NodeStatus {
  NodeId id = kNoNode;
  std::string driver;            ///< "libvirt" or "process"
  std::uint16_t cores = 0;
  platform::Endpoint endpoint;   ///< its messenger
  platform::Duration launch{};   ///< from the request until the driver had started it
  platform::Duration join{};     ///< from then until it had joined
};

/// The cluster's nodes. Core 0 only.
class cluster_nodes {
 public:
  /// Starts `count` backends at once and waits until all have joined. On an error those that did start are stopped
  /// again. Errors: not_found (no image), permission_denied or unavailable (libvirt), resource_exhausted (no memory
  /// for them, or more than kMaxNodes), deadline_exceeded (one did not join; the text has its last lines).
  virtual task<Result<std::vector<NodeId>>> add(std::size_t count) = 0;
  /// Ends a backend in order: what can move moves away when its calls have ended (some 40 s at most), then it has 5 s.
  /// not_found: unknown.
  virtual task<Result<void>> remove(NodeId id) = 0;
  /// The backends that have joined and are not gone, by id.
  virtual std::vector<NodeStatus> list() const = 0;

 protected:
  ~cluster_nodes() = default;
};

/// What the command line asked for (--ebb-backends and so on), for the application to use.
struct cluster_options {
  std::size_t backends = 0;
  std::uint16_t cores = 2;          ///< of each backend
  std::string driver = "process";
};

/// The running application, one a front end. Lives as long as ebb_main().
class application {
 public:
  /// The program's name and its arguments, without those that start with "--ebb-".
  virtual std::span<const std::string> arguments() const noexcept = 0;
  virtual const cluster_options& options() const noexcept = 0;  ///< what the `--ebb-` arguments said
  virtual cluster_nodes& nodes() noexcept = 0;                  ///< to start, list and end backends

 protected:
  ~application() = default;
};

}  // namespace ebb

/// What an application defines. Runs on core 0 of the front end; its value is the program's exit status. When it ends
/// all backends are stopped. In a bare-metal image it is linked but never called.
ebb::task<int> ebb_main(ebb::application& app);
