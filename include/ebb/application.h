// The application as it starts on the front end: its arguments and the nodes it may add.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb {

/// A member of the cluster, as known on the front end.
struct NodeDescription {
  NodeId id = kNoNode;
  std::string driver;    ///< "frontend", "libvirt" or "process"
  std::size_t cores = 0;
  std::string endpoint;  ///< "10.88.0.17:7001"
  std::chrono::nanoseconds launch{};  ///< until the driver had started it
  std::chrono::nanoseconds join{};    ///< from then until it had joined
};

/// Adds and removes nodes. On the front end's core 0 only; nothing blocks the core.
class Nodes {
 public:
  virtual ~Nodes() = default;
  /// Launches `count` nodes side by side; their ids once all have joined. If one fails, those launched by this call are
  /// stopped again, and the error tells which node, why, and the end of its console. not_found: no such image;
  /// resource_exhausted: no memory for them; permission_denied, unavailable: libvirt refuses or does not answer;
  /// deadline_exceeded: a node did not join in time.
  virtual task<Result<std::vector<NodeId>>> add(std::size_t count) = 0;
  /// Asks a node to stop and, after a bounded wait, ends it. not_found for an unknown id.
  virtual task<Result<void>> remove(NodeId id) = 0;
  /// The members now, the front end included, in the order of their ids.
  virtual std::vector<NodeDescription> list() const = 0;
};

/// What the command line said to the runtime (--ebb-backends, --ebb-cores, --ebb-driver).
struct ApplicationOptions {
  std::size_t backends = 0;
  std::size_t cores = 1;  ///< of each backend
  std::string driver = "libvirt";
};

/// The running application. Lives as long as ebb_main.
class application {
 public:
  virtual ~application() = default;
  /// The application's own arguments: what does not start with --ebb-. The program's name is not among them.
  virtual const std::vector<std::string>& arguments() const noexcept = 0;
  virtual const ApplicationOptions& options() const noexcept = 0;
  virtual Nodes& nodes() noexcept = 0;
};

/// Defined by the application; runs on core 0 of the front end. Its value is the program's exit status; an
/// ErrorException that leaves it is printed and gives 1.
task<int> ebb_main(application& app);

}  // namespace ebb
