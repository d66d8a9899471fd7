// The cluster of a front end: starts nodes, takes them in, notices their end, stops them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/application.h"
#include "ebb/async/scope.h"
#include "ebb/async/semaphore.h"
#include "ebb/node.h"
#include "frontend/cluster/console_log.h"
#include "frontend/cluster/membership.h"
#include "frontend/cluster/one_shot.h"
#include "frontend/cluster/workers.h"
#include "frontend/nodes/driver.h"
#include "frontend/service/membership_feed.h"

namespace ebb::frontend::cluster {

struct ClusterSettings {
  nodes::NodeSpec node;                                        ///< of every backend, but for its id
  std::string driver = "process";
  platform::Duration join_limit = std::chrono::seconds(30);    ///< emulated machines are slow
  platform::Duration stop_limit = std::chrono::seconds(5);     ///< for an orderly end, then it is taken down
  platform::Duration reason_limit = std::chrono::seconds(1);   ///< a lost connection waits for the node's own words
};

/// Makes the driver; called once, off the cores, and may block.
using DriverFactory = std::function<Result<std::unique_ptr<nodes::Driver>>(nodes::DriverObserver&)>;

/// Belongs to the main coroutine of the front end: made and destroyed on core 0, as are all its members to be called.
class Cluster final : public cluster_nodes, public MembershipAuthority, private nodes::DriverObserver {
 public:
  /// `progress` gets a line when nodes have joined or stopped and whatever a node prints, on any thread; `alert` what
  /// must be seen: a node that is gone, and why.
  struct Output {
    std::function<void(std::string_view)> progress;
    std::function<void(std::string_view)> alert;
  };

  Cluster(ClusterSettings settings, DriverFactory factory, Workers& workers, service::MembershipFeed& feed, Output output);
  /// After stop_all(), or when the loops have stopped early; then it ends what the driver still runs, and blocks.
  ~Cluster();

  /// Makes the driver now rather than at the first add(), to hear early that it cannot work.
  task<Result<void>> prepare();

  /// Before the first add(): the node of this front end. It outlives stop_all().
  void set_node(Node& node);

  /// What to do with a new member before add() hands it over; bounds itself. Before the first add().
  void set_after_join(std::function<task<void>(NodeId)> work) { after_join_ = std::move(work); }

  /// What to do with a member that has nothing to do any more and is about to stop; bounds itself. Before the first add().
  void set_before_stop(std::function<task<void>(NodeId)> work) { before_stop_ = std::move(work); }

  // cluster_nodes
  task<Result<std::vector<NodeId>>> add(std::size_t count) override;
  task<Result<void>> remove(NodeId id) override;
  std::vector<NodeStatus> list() const override { return membership_.members(); }

  /// Refuses new nodes and ends all there are, at the same time; returns when they have ended.
  task<void> stop_all();

  /// Whether an alert has said of a node that it is gone.
  bool has_lost() const noexcept { return has_lost_; }

  std::uint64_t epoch() const noexcept { return membership_.epoch(); }

  // MembershipAuthority
  Result<void> admit(const Member& candidate) override;
  void on_joined(const Member& member) override;
  task<void> before_stop(NodeId member) override;
  void on_lost(NodeId member, const Error& reason) override;

 private:
  /// One backend under way. Shared by the coroutines that deal with it.
  struct Run {
    bool started = false;               // its driver said so: on_ended will come
    OneShot settled;                    // it has joined, or will not
    std::optional<Error> failure;       // why it will not
    OneShot ended;                      // its driver has seen its end
    OneShot finished;                   // the cluster knows it no more
    bool surely_ended = false;          // or was told to end it, and says that it has
    bool may_end = false;               // has given away what it could, and is asked to end
    bool lost = false;                  // nobody had asked it to end
    std::string end_reason;
  };

  // DriverObserver, on the driver's threads
  void on_console_line(NodeId node, std::string_view line) override;
  void on_ended(NodeId node, std::string reason) override;

  task<Result<void>> ready_driver();
  task<Result<void>> start(NodeId id);
  task<void> take_down(NodeId id, bool orderly, std::string reason);
  task<void> ask_to_stop(NodeId id, std::shared_ptr<Run> run);
  task<void> kill(NodeId id, std::shared_ptr<Run> run);
  task<void> lost(NodeId id, std::string reason);
  task<void> lost_while_it_drains(NodeId id, std::string reason);
  void report_lost(NodeId id, const std::string& reason);
  void ended(NodeId id, std::string reason);
  void fail(Run& run, Error error);
  void finish(NodeId id, const std::string& reason);
  std::shared_ptr<Run> run_of(NodeId id) const;
  nodes::NodeSpec spec(NodeId id) const;

  const ClusterSettings settings_;
  const DriverFactory factory_;
  Workers& workers_;
  service::MembershipFeed& feed_;
  const Output output_;
  ConsoleLog console_;
  // Core 0 only:
  Node* node_ = nullptr;
  std::function<task<void>(NodeId)> after_join_;
  std::function<task<void>(NodeId)> before_stop_;
  Membership membership_;
  std::map<NodeId, std::shared_ptr<Run>> runs_;
  bool closing_ = false;
  bool has_lost_ = false;
  OneShot all_ended_;
  Semaphore driver_making_{1};
  Scope scope_;
  std::unique_ptr<nodes::Driver> driver_;  // last: its end reports to the rest
};

}  // namespace ebb::frontend::cluster
