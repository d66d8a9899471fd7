// The node behind ebb::Node: where the messenger, the object model and the cluster's membership meet.
#pragma once

#include <atomic>
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
#include "ebb/async/semaphore.h"
#include "src/node/core_watch.h"
#include "src/node/home_keeper.h"
#include "src/node/lease.h"
#include "src/node/member_changes.h"
#include "src/node/member_table.h"
#include "src/node/news.h"
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
  void member_ended(NodeId member) override { homes_.ended(member); }
  void abandon_homes() override;
  task<void> end_objects(platform::Duration limit) override;
  task<void> end_own_objects(platform::Duration limit) override;
  task<Result<void>> ask_to_stop(NodeId member) override;
  task<Result<ObjectCounts>> object_counts(NodeId member) override;
  task<Result<void>> join(platform::Endpoint front_end) override;
  task<Result<void>> stopped() override;
  task<void> close() override;

  // MessengerHandler
  task<Result<Bytes>> on_call(IncomingCall call) override;
  void on_connection_lost(NodeId peer, const Error& reason) override;

  // NodeLink
  NodeId self() const noexcept override { return options_.self; }
  std::vector<NodeId> others() const override;
  bool is_member(NodeId node) const override;
  std::uint64_t view_version() const noexcept override;
  ClusterView view() const override;
  bool has_lease() const noexcept override { return options_.authority != nullptr || lease_.valid(); }
  task<Result<Bytes>> call(RemoteCall call, Bytes arguments) override;
  task<Result<void>> send(RemoteCall call, Bytes arguments) override;
  task<Result<void>> end_elsewhere(ObjectId object, std::uint64_t interface_id) override;
  task<Result<Fence>> fence() override;
  /// What it means that a call of `node` was lost: it is surely no member any more in the list of `version`; the call may be made
  /// again; or there is no time left to find out.
  enum class Lost : std::uint8_t { gone, connection, unknown };
  task<Lost> after_loss(NodeId node, std::uint64_t version, int attempt, platform::Instant give_up);
  task<Result<std::uint32_t>> swap_on(NodeId node, ObjectId object, std::uint64_t interface_id, Swap swap, std::uint64_t version);
  /// Until it has ended there, or `node` is surely no member any more in the list of `version`.
  task<Result<void>> end_on(NodeId node, ObjectId object, std::uint64_t interface_id, std::uint64_t version);
  task<Result<std::uint32_t>> swap_elsewhere(ObjectId object, std::uint64_t interface_id, Swap swap) override;

  // What the services of system_objects.h do, on core 0.
  task<Result<void>> take_in(Member candidate);
  /// What a new home must leave behind, as of now. Front end, core 0.
  Fence fence_now() const;
  Result<void> hear(NodeId member, std::uint64_t version);
  task<Result<void>> set_members(MemberList list);
  task<Result<void>> change_members(MemberDifference difference);
  void stop_asked();

 private:
  // How long the front end waits for one member to take a new list.
  static constexpr platform::Duration kAnnounceTimeout = std::chrono::seconds(5);
  // How long one whose connection was lost may take to answer by another; then its heartbeats tell.
  static constexpr platform::Duration kLookTimeout = std::chrono::seconds(1);
  // How often the front end looks who has been silent.
  static constexpr platform::Duration kLook = kHeartbeat / 2;

  Changes changes_to(std::vector<Member> listed) const;
  /// Backend: makes `version` the list that it knows. Whoever calls has its turn.
  task<void> change(Changes changes, std::uint64_t version);
  Member own() const;
  /// Calls after which one has surely gone by a new connection, or found that there is none to be had: each core here and each
  /// there may have opened one to core 0 before, and each of these may be found lost by a call.
  std::size_t most_connections_with(NodeId other) const;
  MemberList list() const;
  /// Front end, with the mutex: what was done to `member` in the table makes another list.
  void note_change(NodeId member) { changes_.note(member, ++version_); }
  /// Sends `member` the present list; its version.
  task<Result<std::uint64_t>> send_list(NodeId member);
  /// The same of one that knows the list of `known`, with fewer bytes if that is possible.
  task<Result<std::uint64_t>> send_news(NodeId member, std::uint64_t known);
  std::optional<MemberDifference> difference_since(std::uint64_t version) const;
  /// Waits until `member` knows all up to now.
  task<Result<void>> announce(NodeId member);
  task<void> announce_again(NodeId member);
  /// The same, again and again while connections are lost and it is a member.
  task<Result<void>> announce_surely(NodeId member);
  task<Result<void>> take_in_again(NodeId candidate);
  /// Tells all, at once; those that do not answer are noticed by their connection.
  task<void> announce_to_others(NodeId except);
  task<void> lose(NodeId member, Error reason);
  /// Forgets a member here; the others have not been told. False if it was none.
  task<bool> forget(NodeId member, std::string reason);
  /// Front end: a connection to a member was lost; whether that is gone.
  task<void> look_for(NodeId member, Error reason);
  /// Backend: the same of the front end.
  task<void> look_for_front_end(Error reason);
  /// Front end: loses the members that have not been heard from; again soon.
  void look_for_silence();
  /// Front end: marks a member as leaving, and waits until it has nothing left that can move.
  task<void> drain(NodeId member);
  task<Result<void>> drained_surely(NodeId member);
  /// Backend: one heartbeat, and what follows from its answer.
  task<Result<void>> heartbeat();
  /// Backend: one heartbeat, if no core is stuck; the next one soon.
  task<void> beat();
  task<void> beat_after(platform::Duration delay);
  void begin_beats();
  void extend_lease(platform::Instant heartbeat_sent);
  void end_with(Result<void> outcome);
  /// Waits for all that is under way in the background; what has failed there is said and holds up nothing.
  task<void> join_work();

  NodeOptions options_;
  std::unique_ptr<Messenger> messenger_;
  mutable std::mutex mutex_;  // guards the next three, which every core reads and core 0 writes; held for a copy
  std::uint64_t version_ = 0;
  MemberTable members_;
  MemberChanges changes_;     // on the front end
  Lease lease_;
  std::atomic<bool> stopping_{false};  // asked to; relaxed: calls that come a little earlier are carried out
  CoreWatch watch_{lease_};
  // Core 0 only:
  bool closing_ = false;
  bool ending_ = false;                              // the whole cluster is: nothing moves away any more
  platform::Instant next_look_;                      // for silence
  TimerId pulse_;                                    // the next heartbeat, or the next look for silence
  bool joined_ = false;                              // a backend that the front end has taken in
  bool beating_ = false;                             // a backend that sends heartbeats
  platform::Duration unanswered_{};                  // a backend's heartbeats, for so long in a row
  Semaphore lists_{1};                               // taken in one after the other; waiters bounded by the front end's attempts
  News news_{[this](NodeId member, std::uint64_t known) { return send_news(member, known); }};
  std::map<NodeId, platform::Instant> last_heard_;   // of the members, on the front end
  std::set<NodeId> leaving_;                         // asked to stop: their loss is no surprise
  std::optional<Result<void>> outcome_;              // why this node is to stop
  Completion<> ended_;
  Scope scope_;
  HomeKeeper homes_{scope_};
};

}  // namespace ebb::detail
