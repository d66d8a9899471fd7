// What the nodes of a collective call's tree ask each other, and what a core remembers of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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

/// More nodes than a cluster has: a request that names them is refused.
inline constexpr std::size_t kMaxStops = 4096;

/// Known on every node under a fixed id. A request may come again, from another node, after one in between was lost: a node
/// carries out its own part once, and gives the same answer for it.
class CollectiveService {
 public:
  /// A Result<CollectiveAnswer>, encoded: what the representatives have to say, errors too. An error in its place is the
  /// service's own: overloaded (kMaxCollectives), malformed.
  task<Result<Parcel>> run(const call_context& context, CollectiveRequest request);
  using interface = ebb::interface<"ebb.Collective/1", method<"run", &CollectiveService::run>>;

  std::uint64_t next_number();

 private:
  using Key = std::pair<NodeId, std::uint64_t>;
  struct Own {
    bool ended = false;
    std::size_t askers = 0;      // who wait for it, and have not given up
    cancel_source cancellation;  // for when there are none for a while
    Result<CollectiveAnswer> answer = CollectiveAnswer();
    std::size_t bytes = 0;
    std::vector<Completion<>*> waiting;
  };
  using OwnPart = std::shared_ptr<Own>;

  class Asker;

  task<Result<CollectiveAnswer>> own_part(std::shared_ptr<const CollectiveRequest> request, const call_context* context);
  static Detached carry_out(OwnPart own, std::shared_ptr<const CollectiveRequest> request, platform::Instant deadline,
                            TraceContext trace);
  void ended(Key key, const Own& own, bool ran);
  void forget_oldest();

  std::map<Key, OwnPart> parts_;
  std::deque<Key> remembered_;  // of parts_, those that have ended, oldest first
  std::size_t remembered_bytes_ = 0;
  std::map<Key, std::uint64_t> forgotten_;  // the highest number no longer remembered, by node and core of the origin
  std::uint64_t last_number_ = 0;
  void note_depths() noexcept {
    under_way_depth_.set(parts_.size() - remembered_.size());
    remembered_depth_.set(remembered_.size());
  }
  QueueDepth under_way_depth_{Bounded::collectives, Core::current().index(), kMaxCollectives};
  QueueDepth remembered_depth_{Bounded::remembered_collectives, Core::current().index(), kRememberedCollectives};
};

inline constexpr auto kCollectiveService = ref<CollectiveService>::unchecked(ObjectId(8));

/// This core's representative, entered first: one node by itself has no list of services that somebody enters.
CollectiveService& collective_service_here();

}  // namespace ebb::detail
