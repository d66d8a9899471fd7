// Replicas: how one joins, follows its home, is left behind, and becomes the home itself.
#include "src/object/replica.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_table.h"
#include "ebb/observe/call_meter.h"
#include "ebb/platform/translation_table.h"
#include "src/object/fence.h"
#include "src/object/state.h"

namespace ebb::detail {
namespace {

// Batches that reach a core while its replica waits for its first state.
constexpr std::size_t kMaxEarly = 256;
// How long a core tries to join, and how long a node may take to drop replicas.
constexpr platform::Duration kJoinLimit = std::chrono::seconds(30);
constexpr platform::Duration kDropTimeout = std::chrono::seconds(2);
constexpr platform::Duration kDropAgain = std::chrono::milliseconds(10);
constexpr platform::Duration kLeaseLook = std::chrono::milliseconds(10);

std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }

CoreIndex this_core() noexcept { return Core::current().index(); }

ReplicaRoot* root_of(ObjectId id) noexcept { return static_cast<ReplicaRoot*>(NodeTable::instance().root_of(id)); }

Replica& replica_here(ReplicaRoot& root) noexcept { return root.replicas[to_number(this_core())]; }

bool is_here(const Home& home) noexcept { return home.node == this_node() && home.core == this_core(); }

/// Carries out what has not been carried out yet; false if something is missing before it, or an unknown method is in it.
bool follow(ObjectId id, Replica& replica, const TypeDescriptor& type, std::uint64_t first, std::vector<Write>& writes) {
  if (first > replica.writes + 1) return false;
  for (std::size_t at = static_cast<std::size_t>(replica.writes + 1 - first); at < writes.size(); ++at) {
    const RemoteMethod* method = type.find(writes[at].method);
    if (method == nullptr) return false;
    Write& write = writes[at];
    CallMeter meter(false, write.trace.value_or(TraceContext()));  // a span only: it is the home's call that is counted
    // Of its caller's deadline and cancellation a replica hears nothing: it must do what the others do.
    call_context context;
    context.trace = meter.trace();
    context.caller = write.caller;
    // Plain functions (replicated.h): the task ends where it starts. Its answer, or error, is that of the original.
    std::optional<Errc> done;
    [](task<Result<Bytes>> work, std::optional<Errc>* ended) -> Detached {
      const Result<Bytes> answer = co_await std::move(work);
      *ended = answer.code();
    }(method->invoke(replica.value, std::move(write.arguments), &context), &done);
    if (!done) return false;
    meter.end({method->id, type.interface_name, method->name}, id, NodeTable::instance().home_of(id).node, *done);
    ++replica.writes;
  }
  return true;
}

void forget(Replica& replica) {
  const std::uint32_t sealed = replica.sealed;
  replica = Replica();
  replica.sealed = sealed;
}

/// A replica that joins, until it is live: whatever else ends that, it is none, and its home hears so with the next write.
class Joining {
 public:
  Joining(Replica& replica, void* value) : replica_(replica) {
    replica_.stage = Replica::Stage::joining;
    replica_.value = value;
  }
  ~Joining() {
    if (!live_) forget(replica_);
  }
  Joining(const Joining&) = delete;
  Joining& operator=(const Joining&) = delete;
  void succeeded() noexcept { live_ = true; }

 private:
  Replica& replica_;
  bool live_ = false;
};

/// Begins with `snapshot` and carries out what has come since; false if that does not go together.
bool begin_from(ObjectId id, Replica& replica, const TypeDescriptor& type, const Snapshot& snapshot, const Bytes& state) {
  if (snapshot.epoch < replica.sealed) return false;
  restore_state(type, replica.value, state).value();
  replica.stage = Replica::Stage::live;
  replica.epoch = snapshot.epoch;
  replica.writes = snapshot.writes;
  replica.early_bytes = 0;
  for (Replica::Early& batch : std::exchange(replica.early, {})) {
    if (!follow(id, replica, type, batch.first, batch.writes)) return false;
  }
  return true;
}

void be_original(ObjectId id, ReplicaRoot& root, const TypeDescriptor& type, void* value, std::uint32_t epoch,
                 std::uint64_t writes) {
  if (root.original) root.original->end();  // of a replica that is on its way out
  Replica& mine = replica_here(root);
  mine.stage = Replica::Stage::live;
  mine.value = value;
  mine.epoch = epoch;
  mine.writes = writes;
  root.original = std::make_shared<Original>(id, type, value, epoch, writes);
  root.home.store(this_core(), std::memory_order_release);
}

/// Makes sure that no replica anywhere still follows an older home. Only then may this one answer a write.
task<void> leave_behind(ObjectId id, Home home, NodeId node, std::uint64_t version) {
  for (;;) {
    const auto dropped = co_await kReplicaService.on(node).within(kDropTimeout).call<&ReplicaService::drop>(id, home);
    if (dropped) co_return;
    // A list older than `version` may not know the node yet.
    if (!is_member(node) && cluster_view_version() >= version) {
      co_await outlast_lost(node);
      co_return;
    }
    co_await sleep_for(kDropAgain);
  }
}

task<void> outlast(platform::Duration leases) { co_await sleep_for(leases); }

/// A node's farthest replica, which from now on follows no home before `epoch`; of a node that is gone, none.
task<ReplicaState> seal_on(ObjectId id, std::uint32_t epoch, NodeId node, std::uint64_t version) {
  for (;;) {
    const auto state = co_await kReplicaService.on(node).within(kDropTimeout).call<&ReplicaService::seal>(id, epoch);
    if (state) co_return *state;
    if (!is_member(node) && cluster_view_version() >= version) co_return ReplicaState();
    co_await sleep_for(kDropAgain);
  }
}

/// The core with the farthest replica that there is, none: kNoNode.
task<Home> find_replica(ObjectId id, std::uint32_t epoch) {
  const Fence fence = co_await find_fence();
  std::vector<NodeId> nodes = fence.others;
  nodes.push_back(this_node());
  std::vector<task<ReplicaState>> works;
  for (const NodeId node : nodes) works.push_back(seal_on(id, epoch, node, fence.version));
  const std::vector<ReplicaState> states = co_await when_all(std::move(works));
  Home farthest;
  std::tuple<std::uint32_t, std::uint64_t, bool> most;
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    if (states[at].epoch == 0) continue;
    const std::tuple far(states[at].epoch, states[at].writes, !is_leaving(nodes[at]));  // of two as good one that stays
    if (farthest.node != kNoNode && far <= most) continue;
    most = far;
    farthest = {nodes[at], states[at].core, epoch};
  }
  co_return farthest;
}

/// `value` gets what the replica at `from` has, whose node leaves and takes no homes; how many writes that has seen.
task<Result<std::uint64_t>> take_over(ObjectId id, const TypeDescriptor* type, void* value, Home from) {
  auto snapshot = co_await kReplicaService.on(from.node, from.core).call<&ReplicaService::state>(id, from.epoch);
  if (!snapshot) co_return std::move(snapshot).error();
  auto state = co_await fetch_parcel(std::move(snapshot->state));
  if (!state) co_return std::move(state).error();
  if (Result<void> restored = restore_state(*type, value, *state); !restored) throw ErrorException(std::move(restored).error());
  co_return snapshot->writes;
}

/// Returns with a lease; throws what require_lease() does when there is none by `deadline`.
task<void> await_lease(platform::Instant deadline) {
  const auto has_none = [] {
    const NodeLink* link = node_link();
    return link != nullptr && !link->has_lease();
  };
  while (has_none() && platform::Clock::now() < deadline) co_await sleep_for(kLeaseLook);
  require_lease();
}

task<void> leave_all_behind(ObjectId id, Home home) {
  const Fence fence = co_await find_fence();
  std::vector<task<void>> works;
  if (fence.leases_end > platform::Duration::zero()) works.push_back(outlast(fence.leases_end));
  works.push_back(leave_behind(id, home, this_node(), 0));
  for (const NodeId node : fence.others) works.push_back(leave_behind(id, home, node, fence.version));
  co_await when_all(std::move(works));
}

/// On the core that may be the home: after it, root.original is that of the present home. moved: it is not here.
task<Result<void>> need_original(ObjectId id) {
  const CallUnderWay call(id);  // the object's end waits: what follows takes seconds, and uses its root
  NodeTable& table = NodeTable::instance();
  const TypeDescriptor* type = table.type_of(id);
  ReplicaRoot* root = root_of(id);
  if (type == nullptr || root == nullptr) co_return Error::refusal(Errc::moved, describe(id) + " has no replica here");
  auto home = co_await find_home(id, type, 0);
  if (home && !is_here(*home)) home = co_await find_home(id, type, home->epoch);
  if (!home) co_return std::move(home).error();
  if (!is_here(*home)) {
    co_return Error::refusal(Errc::moved, describe(id) + " lives on node " + std::to_string(to_number(home->node)));
  }
  const Semaphore::Permit permit = co_await root->promotion.acquire();
  const std::uint32_t present = root->original ? root->original->epoch() : 0;
  if (home->epoch <= present) co_return Result<void>();
  void* value = platform::translate(id);
  if (value == nullptr) co_return Error::refusal(Errc::moved, describe(id) + " has no replica here yet");
  if (root->original) root->original->end();
  root->original.reset();
  const std::uint64_t writes = replica_here(*root).writes;
  co_await leave_all_behind(id, *home);
  // It may have been dropped meanwhile: then whoever comes next finds no replica and begins anew.
  if (platform::translate(id) != value) co_return Error::refusal(Errc::moved, describe(id) + " was dropped here");
  be_original(id, *root, *type, value, home->epoch, writes);
  co_return Result<void>();
}

}  // namespace

// --- the policy's parts ---

void* Replication::make_root(ObjectId) {
  NodeTable::instance().enter(kReplicaService.id(), kTypeDescriptor<ReplicaService>);
  return new ReplicaRoot(Core::count());
}

void Replication::end_root(void* root) { delete static_cast<ReplicaRoot*>(root); }

void Replication::leave(void* root, const void* value) {
  auto& mine = *static_cast<ReplicaRoot*>(root);
  Replica& replica = replica_here(mine);
  if (mine.home.load(std::memory_order_acquire) == this_core() && mine.original && mine.original->value() == value) {
    mine.original->end();
    mine.original.reset();
  }
  if (replica.value == value) forget(replica);
}

/// Whether a replica that was answered so may get its state in another round.
static bool may_be_otherwise(Errc code) noexcept {
  return code == Errc::moved || code == Errc::node_gone || code == Errc::overloaded ||
         // A node that leaves has ended its part, or closes. Whether the object lives, the directory says, which is asked next.
         code == Errc::no_such_object || code == Errc::unavailable;
}

void Replication::join(ObjectId id, void* shared, void* value, const TypeDescriptor& type) {
  ReplicaRoot& root = *static_cast<ReplicaRoot*>(shared);
  Replica& mine = replica_here(root);
  const platform::Instant deadline = platform::Clock::now() + kJoinLimit;
  std::uint32_t stale = 0;
  for (int attempt = 0;; ++attempt) {
    require_lease();
    const Home home = block_on(find_home(id, &type, stale)).value();
    if (is_here(home)) {
      // No replica is here. It may have been dropped since this core was chosen for it; then another that has one is the home.
      const Home other = home.epoch > 1 ? block_on(find_replica(id, home.epoch)) : Home();
      if (other.node == kNoNode || is_leaving(other.node)) {
        Result<std::uint64_t> writes = std::uint64_t{0};
        if (other.node != kNoNode) writes = block_on(take_over(id, &type, value, other));
        if (!writes && !may_be_otherwise(writes.code())) throw ErrorException(std::move(writes).error());
        if (writes) {
          if (home.epoch > 1) block_on(leave_all_behind(id, home));
          // There may be no other replica any more: whoever gave up now would take all answered writes along. While the lease is only
          // late, the home is still here.
          block_on(await_lease(deadline));
          return be_original(id, root, type, value, home.epoch, *writes);
        }
      } else {
        // If another was quicker, or this is not heard, the directory tells in the next round.
        static_cast<void>(block_on(NodeTable::instance().directory().re_home(id, home.epoch, other.node, other.core)));
      }
    }
    stale = home.epoch;
    if (!is_here(home) && is_member(home.node)) {
      Joining joining(mine, value);
      const auto attempt_at = static_cast<std::uint64_t>(platform::Clock::now().time_since_epoch().count());
      const auto snapshot = block_on(
          kReplicaService.on(home.node, home.core).call<&ReplicaService::subscribe>(id, this_node(), this_core(), attempt_at));
      // Writes that come while the state does are early ones.
      Result<std::vector<std::byte>> state = Error(Errc::moved, "no snapshot");
      if (snapshot) state = block_on(fetch_parcel(snapshot->state));
      // The lease may have ended meanwhile, and caches been dropped: this one would have been among them. Nothing waits from here.
      require_lease();
      if (state && begin_from(id, mine, type, *snapshot, *state)) return joining.succeeded();
      if (!snapshot && !may_be_otherwise(snapshot.code())) throw ErrorException(snapshot.error());
    }
    if (!block_on(pause_before_retry(attempt, deadline))) {
      throw ErrorException(Error(Errc::deadline_exceeded, "the home of " + describe(id) + " could not be reached for 30 s"));
    }
  }
}

task<Result<Bytes>> Replication::serve(ObjectId id, void* representative, const RemoteMethod& method, Bytes arguments,
                                       ServedCaller caller) {
  if (method.reads) co_return co_await method.invoke(representative, std::move(arguments), caller.context);
  const Home known = NodeTable::instance().home_of(id);
  ReplicaRoot* root = root_of(id);
  const bool is_original = root != nullptr && is_here(known) && root->original && root->original->epoch() == known.epoch;
  if (!is_original) {
    if (Result<void> here = co_await need_original(id); !here) co_return std::move(here).error();
    root = root_of(id);
    if (root == nullptr || !root->original) co_return Error::refusal(Errc::moved, describe(id) + " ended here meanwhile");
  }
  const std::shared_ptr<Original> original = root->original;
  co_return co_await original->write(method, std::move(arguments), std::move(caller));
}

void Replication::become_home(ObjectId id) { block_on(need_original(id)).value(); }

// --- what others ask ---

task<Result<Snapshot>> ReplicaService::subscribe(ObjectId id, NodeId node, CoreIndex core, std::uint64_t attempt) {
  if (to_number(core) >= kMaxCores) co_return Error(Errc::invalid_argument, "no core subscribes");
  // Or one that this node has yet to hear of, which asks again.
  if (!is_member(node)) co_return Error(Errc::moved, "no member that is known here subscribes");
  // Made here if this is the home and nobody has touched the object yet; in an event that can block.
  auto touch = [id]() -> Result<void> {
    try {
      if (platform::translate(id) == nullptr) NodeTable::instance().miss(id);
      return {};
    } catch (...) {
      return to_error(std::current_exception());
    }
  };
  if (Result<void> touched = co_await on_core(this_core(), touch); !touched) co_return std::move(touched).error();
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr || type->serve != &replicated::serve) {
    co_return Error(Errc::interface_mismatch, describe(id) + " is not replicated");
  }
  if (Result<void> here = co_await need_original(id); !here) co_return std::move(here).error();
  ReplicaRoot* root = root_of(id);
  if (root == nullptr || !root->original) co_return Error(Errc::moved, describe(id) + " ended here meanwhile");
  require_lease();
  co_return root->original->subscribe(node, core, attempt);
}

Result<bool> ReplicaService::apply(ObjectId id, std::uint32_t epoch, std::uint64_t first, std::vector<Write> writes) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr || type->serve != &replicated::serve) return false;
  ReplicaRoot* root = root_of(id);
  if (root == nullptr || to_number(this_core()) >= root->replicas.size()) return false;
  Replica& mine = replica_here(*root);
  if (epoch < mine.sealed || mine.stage == Replica::Stage::absent || first == 0) return false;
  if (mine.stage == Replica::Stage::joining) {
    if (mine.early.size() >= kMaxEarly || mine.early_bytes >= Original::kMaxUnsentBytes) {
      return Error(Errc::overloaded, "this replica still waits for its first state");
    }
    for (const Write& write : writes) mine.early_bytes += write.arguments.size();
    mine.early.push_back({first, std::move(writes)});
    return true;
  }
  if (epoch != mine.epoch || mine.value == nullptr) return false;
  if (follow(id, mine, *type, first, writes)) return true;
  NodeTable::instance().drop_here(id);  // whatever went wrong, the next access begins with the whole state
  return false;
}

task<Result<ReplicaState>> ReplicaService::seal(ObjectId id, std::uint32_t epoch) {
  ReplicaState best;
  const ReplicaRoot* root = root_of(id);
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (root == nullptr || type == nullptr || type->serve != &replicated::serve) co_return best;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto look = [id, epoch]() -> ReplicaState {
      ReplicaRoot* here = root_of(id);
      if (here == nullptr) return {};
      Replica& mine = replica_here(*here);
      mine.sealed = std::max(mine.sealed, epoch);
      if (mine.stage != Replica::Stage::live) return {};
      return {mine.epoch, mine.writes, this_core()};
    };
    const ReplicaState state = co_await on_core(CoreIndex{core}, look);
    if (state.epoch > best.epoch || (state.epoch == best.epoch && state.writes > best.writes)) best = state;
  }
  co_return best;
}

Result<Snapshot> ReplicaService::state(ObjectId id, std::uint32_t epoch) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  ReplicaRoot* root = root_of(id);
  if (type == nullptr || type->serve != &replicated::serve || root == nullptr || to_number(this_core()) >= root->replicas.size()) {
    return Error(Errc::moved, describe(id) + " has no replica here");
  }
  const Replica& mine = replica_here(*root);
  if (mine.stage != Replica::Stage::live || mine.epoch >= epoch || mine.sealed < epoch) {
    return Error(Errc::moved, describe(id) + " has no replica here that waits for another home");
  }
  auto saved = save_state(*type, mine.value);
  if (!saved) return std::move(saved).error();
  auto state = send_parcel(*std::move(saved));
  if (!state) return std::move(state).error();
  return Snapshot{mine.epoch, mine.writes, *std::move(state)};
}

task<Result<void>> ReplicaService::drop(ObjectId id, Home home) {
  NodeTable& table = NodeTable::instance();
  const TypeDescriptor* type = table.type_of(id);
  if (type == nullptr || type->serve != &replicated::serve) co_return Result<void>();
  table.learn_home(id, home);
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto drop_old = [id, home] {
      ReplicaRoot* root = root_of(id);
      if (root == nullptr || is_here(home)) return;
      Replica& mine = replica_here(*root);
      mine.sealed = std::max(mine.sealed, home.epoch);
      if (mine.stage == Replica::Stage::live && mine.epoch < home.epoch) NodeTable::instance().drop_here(id);
    };
    co_await on_core(CoreIndex{core}, drop_old);
  }
  co_return Result<void>();
}

}  // namespace ebb::detail
