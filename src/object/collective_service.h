// What the nodes of a collective call's tree ask each other, and what a core remembers of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/base/queue_depth.h"
#include "ebb/object.h"
#include "ebb/object/collective.h"
#include "src/object/parcel.h"

namespace ebb::detail {

/// A node of the tree. Each asks the same core of it, which is where the node remembers.
struct Stop {
  NodeId node = kNoNode;
  std::uint16_t cores = 1;
};

struct CollectiveRequest {
  NodeId origin = kNoNode;
  std::uint64_t number = 0;   ///< of its origin's core, ascending; that core's index stands in the upper 16 bits
  bool one_way = false;       ///< nobody waits for an answer
  std::uint64_t view = 0;     ///< version of the list of members by which its origin chose whom to ask
  std::vector<Stop> below;    ///< whom the node that gets this asks in turn, ordered by id
  Collective collective;
};

/// Of a call to another node, and so of one of every representative.
inline constexpr platform::Duration kMaxRemoteTimeout = std::chrono::hours(1);

/// More nodes than a cluster has: a request that names them is refused.
inline constexpr std::size_t kMaxStops = 4096;

/// Known on every node under a fixed id: one of those whose calls count like an application's, since they last as long as its
/// methods do, and would take the places that are kept for heartbeats. A request may come again, from another node, after one in
/// between was lost: a node carries out its own part once, and gives the same answer for it.
class CollectiveService {
 public:
  /// A Result<CollectiveAnswer>, encoded: what the representatives have to say, errors too. An error in its place is the
  /// service's own: overloaded (kMaxCollectives), malformed.
  task<Result<Parcel>> run(const call_context& context, CollectiveRequest request);
  /// On the core of the origin that counted `number`: whether somebody still waits for that call.
  bool is_wanted(std::uint64_t number) const noexcept { return wanted_.contains(number); }
  using interface = ebb::interface<"ebb.Collective/1", method<"run", &CollectiveService::run>,
                                   method<"is_wanted", &CollectiveService::is_wanted>>;

  std::uint64_t next_number();

  /// A call of this core that somebody waits for, as long as this lives.
  class Wanted {
   public:
    explicit Wanted(std::uint64_t number);
    ~Wanted();
    Wanted(const Wanted&) = delete;
    Wanted& operator=(const Wanted&) = delete;

   private:
    const std::uint64_t number_;
  };

 private:
  using Key = std::pair<NodeId, std::uint64_t>;
  struct Own {
    Own(Key of, std::uint64_t version) noexcept : key(of), view(version) {}
    const Key key;
    const std::uint64_t view;    // by an older list this node may not know the origin yet
    bool ended = false;
    std::size_t askers = 0;      // who wait for it, and have not given up
    bool in_doubt = false;       // there were none, and its origin is being asked
    cancel_source cancellation;  // for when it wants it no more
    Result<CollectiveAnswer> answer = CollectiveAnswer();
    std::size_t bytes = 0;
    std::vector<Completion<>*> waiting;
  };
  using OwnPart = std::shared_ptr<Own>;

  class Asker;

  task<Result<CollectiveAnswer>> own_part(std::shared_ptr<const CollectiveRequest> request, const call_context* context);
  static Detached carry_out(OwnPart own, std::shared_ptr<const CollectiveRequest> request, platform::Instant deadline,
                            TraceContext trace);
  static Detached end_unless_wanted(OwnPart own);
  static task<bool> may_be_wanted(OwnPart own);
  void ended(const Own& own, bool ran);
  void forget_oldest();

  std::map<Key, OwnPart> parts_;
  std::deque<Key> remembered_;  // of parts_, those that have ended, oldest first
  std::size_t remembered_bytes_ = 0;
  std::map<Key, std::uint64_t> forgotten_;  // the highest number no longer remembered, by node and core of the origin
  std::uint64_t last_number_ = 0;
  std::unordered_set<std::uint64_t> wanted_;  // of the calls of this core; as many as wait for one
  void note_depths() noexcept {
    under_way_depth_.set(parts_.size() - remembered_.size());
    remembered_depth_.set(remembered_.size());
  }
  QueueDepth under_way_depth_{Bounded::collectives, Core::current().index(), kMaxCollectives};
  QueueDepth remembered_depth_{Bounded::remembered_collectives, Core::current().index(), kRememberedCollectives};
};

inline constexpr auto kCollectiveService = ref<CollectiveService>::unchecked(ObjectId(kFirstBulkObject.index() + 3));

/// This core's representative, entered first: one node by itself has no list of services that somebody enters.
CollectiveService& collective_service_here();

}  // namespace ebb::detail
