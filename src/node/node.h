// The node behind ebb::Node: where the messenger, the object model and the cluster's membership meet.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/scope.h"
#include "ebb/node.h"
#include "ebb/object/node_link.h"
#include "src/node/system_objects.h"

namespace ebb::detail {

class ClusterNode final : public Node, public MessengerHandler, public NodeLink {
 public:
  explicit ClusterNode(NodeOptions options) noexcept : options_(std::move(options)) {}
  ~ClusterNode() override;
  static ClusterNode* instance() noexcept;

  task<Result<void>> open();

  // Node
  NodeId id() const noexcept override { return options_.self; }
  platform::Endpoint local() const noexcept override { return messenger_->local(); }
  Messenger& messenger() noexcept override { return *messenger_; }
  std::vector<Member> members() const override;
  task<void> remove_member(NodeId member, std::string reason) override;
  task<Result<void>> ask_to_stop(NodeId member) override;
  task<Result<std::vector<ObjectStatistics>>> statistics(NodeId member) override;
  task<Result<void>> join(platform::Endpoint front_end) override;
  task<Result<void>> stopped() override;
  task<void> close() override;

  // MessengerHandler
  task<Result<Bytes>> on_call(IncomingCall call) override;
  void on_connection_lost(NodeId peer, const Error& reason) override;

  // NodeLink
  NodeId self() const noexcept override { return options_.self; }
  std::vector<NodeId> others() const override;
  task<Result<Bytes>> call(NodeId node, CoreIndex core, ObjectId object, std::uint64_t method,
                           platform::Duration timeout, Bytes arguments) override;
  task<Result<void>> end_elsewhere(ObjectId object, std::uint64_t interface_id) override;

  // What the services of system_objects.h do, on core 0.
  task<Result<void>> take_in(Member candidate);
  task<Result<void>> set_members(MemberList list);
  void stop_asked();

 private:
  // How long the front end waits for one member to take a new list.
  static constexpr platform::Duration kAnnounceTimeout = std::chrono::seconds(5);

  Member own() const;
  MemberList list() const;
  /// Tells `member` the present list.
  task<Result<void>> announce(NodeId member);
  /// Tells all, at once; those that do not answer are noticed by their connection.
  task<void> announce_to_others(NodeId except);
  task<void> lose(NodeId member, Error reason);
  void end_with(Result<void> outcome);

  NodeOptions options_;
  std::unique_ptr<Messenger> messenger_;
  mutable std::mutex mutex_;  // guards the next two, which every core reads and core 0 writes; held for a copy
  std::uint64_t version_ = 0;
  std::map<NodeId, Member> members_;
  // Core 0 only:
  std::set<NodeId> leaving_;               // asked to stop: their loss is no surprise
  std::optional<Result<void>> outcome_;    // why this node is to stop
  Completion<> ended_;
  Scope scope_;
};

}  // namespace ebb::detail
