// One node's part of the objects it knows: the roots, and which cores hold a representative. Where a miss goes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/async/core.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/directory.h"
#include "ebb/object/first_lookups.h"
#include "ebb/object/object_counts.h"
#include "ebb/object/type.h"
#include "ebb/platform/platform.h"

namespace ebb {

class Context;

namespace detail {

/// One object as a node knows it. What it points to ends with the object; it itself stays for NodeTable::kForgetAfter, so that
/// an event that learnt of the object just before its end does not take it for a living one, and is freed after every core
/// has passed from one event to the next: a pointer to it stays good for an event, and longer while the object lives.
struct ObjectEntry {
  enum class State : std::uint8_t {
    known,      ///< no root yet
    making,     ///< an event constructs the root
    ready,      ///< the root is there, or the type has none
    destroyed,  ///< no_such_object from now on; an event ends its parts
    unended,    ///< the same, but some could not end, and wait for another end()
    ended,      ///< the same, and its parts are gone; `cores` says since when, in milliseconds
  };
  explicit ObjectEntry(const TypeDescriptor& descriptor) noexcept : type(&descriptor) {}
  const TypeDescriptor* const type;
  void* root = nullptr;                     // published by `state`; while it is made (under the shard's lock), its maker
  std::atomic<std::uint64_t> cores{0};      // bit n: core n holds a representative (but see `ended`)
  std::atomic<std::uint64_t> home{0};       // packed; relaxed, since it says where to ask and not whom to trust
  std::atomic<State> state{State::known};   // release when it becomes ready, acquire where root is read
  std::atomic<bool> swapped{false};         // its shard has another implementation for it; release, acquire
  std::atomic<bool> dropped{false};         // its shard may have dropped or parked parts; release, acquire
};
static_assert(kMaxCores <= 64, "ObjectEntry::cores has a bit for each core");
static_assert(sizeof(ObjectEntry) <= 40, "with malloc's header and its slot an untouched object costs a node 56 bytes");

/// A call that the end of its object waits for, on this core: made where it begins, gone when it has ended. Calls by target and
/// node_target, and all that come from other nodes, are counted, by this or by CallOnStack; a method that was called through `->`
/// is not.
class CallUnderWay {
 public:
  /// `served`: as one from another node, of which an object has a bounded number at a time (kMaxCallsPerObject).
  explicit CallUnderWay(ObjectId id, bool served = false);
  ~CallUnderWay();
  CallUnderWay(const CallUnderWay&) = delete;
  CallUnderWay& operator=(const CallUnderWay&) = delete;
  /// Of one that is served: how many such there were of the object on this core when it began, itself among them.
  std::uint32_t count() const noexcept { return count_; }

 private:
  const ObjectId id_;
  const bool served_;
  std::uint32_t count_;
};

/// The same of a method that gives no task: it can wait only by blocking its context, on whose stack this is. So there are few,
/// and a list of them costs a call less than a count under its object's id.
class CallOnStack {
 public:
  explicit CallOnStack(ObjectId id) noexcept;
  ~CallOnStack() {
    *here_ = next_;
    if (next_ != nullptr) next_->here_ = here_;
  }
  CallOnStack(const CallOnStack&) = delete;
  CallOnStack& operator=(const CallOnStack&) = delete;
  ObjectId id() const noexcept { return id_; }
  const CallOnStack* next() const noexcept { return next_; }

 private:
  const ObjectId id_;
  CallOnStack* next_;
  CallOnStack** here_;  // what points to this: its core's list, or the one before
};

}  // namespace detail

/// The node's table of objects, shared by its cores; one a process. Looking an object up takes no lock: two loads. The
/// lock of a shard is taken only while a root is being made or waited for. Lives from before the cores start until
/// after they have ended; clear() comes before that.
class NodeTable {
 public:
  /// The table of this process. Its directory is a memory directory until set_directory().
  static NodeTable& instance();

  /// Replaces the directory; before the first object is created, no core running.
  void set_directory(std::unique_ptr<Directory> directory) noexcept { directory_ = std::move(directory); }
  Directory& directory() noexcept { return *directory_; }
  /// What `id` names: a static object of this program, or what the directory says. Errors: those of Directory::lookup.
  task<Result<ObjectRecord>> lookup(ObjectId id);

  /// Makes this core's representative of `id` and puts it into the core's translation table; returns it. Makes the
  /// node's root first if there is none: exactly one root a node, one representative a core, however many events race.
  /// Waits (blocking the calling event, not its core) for the directory, or for another core's root. Throws
  /// ErrorException: no_such_object, interface_mismatch, overloaded (this event cannot block, or no memory for one more
  /// table page), internal (a constructor that needs its own object), deadline_exceeded (another event makes it for more than
  /// 30 s: constructors that wait for each other), or what the constructor itself threw; then the object stays untouched, and
  /// the next access tries again.
  void* miss(ObjectId id, const detail::TypeDescriptor& type);

  /// The same for a caller who does not know the type: the directory names it, and the program must have it
  /// (interface_mismatch otherwise).
  void* miss(ObjectId id);

  /// Sees to it that this node knows the object, and as a `type` (nullptr: as whatever it is); asks the directory if it has not met
  /// it. Errors: no_such_object (also once it was destroyed), interface_mismatch (the object is something else, or of another kind
  /// in the program that made it, or this program lacks it), and those of Directory::lookup.
  task<Result<void>> meet(ObjectId id, const detail::TypeDescriptor* type);

  /// The type of an object this node knows, nullptr for others.
  const detail::TypeDescriptor* type_of(ObjectId id) const noexcept;

  /// The same of one that has not been destroyed, as far as this node knows.
  const detail::TypeDescriptor* living_type_of(ObjectId id) const noexcept;

  /// What the cores of this node share of an object; nullptr as long as none has needed it. Good until the object ends.
  void* root_of(ObjectId id) const noexcept;

  /// The home of `id` as this node has last heard, or an epoch of 0.
  Home home_of(ObjectId id) const noexcept;
  /// Notes where the home is, unless what is known is newer. The object has been entered.
  void learn_home(ObjectId id, Home home) noexcept;

  /// Enters an object that this node just created, so that its first miss need not ask the directory.
  void enter(ObjectId id, const detail::TypeDescriptor& type) { static_cast<void>(find_or_add(id, type)); }

  /// The cores that hold a representative of `id`, one bit each; 0 for an object this node does not know.
  std::uint64_t cores_of(ObjectId id) const noexcept;

  /// Ends an object on this node, which takes it for a `type` where it has not met it: representatives on their cores, then
  /// the root. Accesses that come later get no_such_object, also where this node had not met the object; one that is making a
  /// representative, and calls under way (see CallUnderWay), are waited for, on all cores at once. Destructors run in events
  /// that can block. While another event ends the object this waits for that, and says what came of it. Errors:
  /// no_such_object when it has ended before; interface_mismatch when it is no `type`; overloaded when a constructor of the
  /// root has not ended for 30 s; deadline_exceeded when calls have not ended for `calls_limit`, nor for as long (at most
  /// kCancelLimit) after their tokens were fired: then what they use stays in memory, until the next end() that finds them
  /// ended. What keeps a core from looking: then the same.
  task<Result<void>> end(ObjectId id, const detail::TypeDescriptor* type, platform::Duration calls_limit = kDrainLimit);

  /// Has `implementation` carry out the calls of this node's cores from now on: on each core the representative is
  /// replaced at a moment at which no counted call is under way in it, unless it is of that implementation already. How many were
  /// replaced. Where two swaps meet the one with the higher number stays. Errors: no_such_object;
  /// overloaded when a core has not come to such a moment for kSwapLimit (it keeps its old one), and what making one throws.
  task<Result<std::uint32_t>> swap(ObjectId id, const detail::TypeDescriptor* type, detail::Swap swap);

  /// See ebb::drop (drop.h).
  task<Result<std::uint32_t>> drop(ObjectId id, const detail::TypeDescriptor* type);
  /// The state that the object's part of `core` (kAnyCore: of the node) was dropped with, out of the table; false if there is none.
  bool take_dropped(ObjectId id, CoreIndex core, Bytes* state);

  /// Takes this core's representative out of its slot and ends it, if there is one; the next access makes another.
  void drop_here(ObjectId id);

  /// Takes this core's representative out of its slot without ending it; nullptr if there is none.
  void* take_out(ObjectId id);
  /// The reverse, where nothing has taken its place.
  void put_back(ObjectId id, void* representative);

  /// The lease has ended: takes the representatives of kinds that answer without asking for it out of this core; the next
  /// access makes them anew, or brings back that of a home, which is kept. Waits for nothing but destructors.
  void drop_caches();

  /// Ends every object that is left, newest first. Before the event loops stop.
  task<void> clear();

  /// Calls `visit(id, type, cores)` for each object that has a representative here, ordered by id, until it answers
  /// false. Any core; objects that come or go meanwhile may be missed.
  template <class Visit>
  void for_each(Visit visit) const;

  /// How long an ended object is remembered as ended: longer than anything may take that began before its end, and less than
  /// Directory::kIdGrace, after which its id may name another object.
  static constexpr platform::Duration kForgetAfter = std::chrono::minutes(6);
  static_assert(kForgetAfter > kMaxCores * std::chrono::seconds(5) && kForgetAfter < Directory::kIdGrace);
  /// Another time than kForgetAfter; before the cores start.
  void set_forget_after(platform::Duration time) noexcept { forget_after_ = time; }

  /// How long end() waits for calls under way, and swap() for a moment without any.
  static constexpr platform::Duration kDrainLimit = std::chrono::seconds(20);
  /// How long it waits for those whose tokens it has fired then.
  static constexpr platform::Duration kCancelLimit = std::chrono::seconds(5);
  static constexpr platform::Duration kSwapLimit = std::chrono::seconds(5);

  /// Nobody can tell whether what this node has of `id` is ended, but for calls under way.
  bool ends_unseen(ObjectId id) const noexcept;
  /// The objects of the application that have calls under way on this core. This core only.
  std::vector<ObjectId> objects_with_calls() const;
  /// Calls under way on this core that count. This core only.
  std::uint32_t calls_under_way(ObjectId id) const noexcept;
  /// Waits until there are none; false if that has not come by `limit`, or when `token` has fired. This core only.
  task<bool> calls_ended(ObjectId id, platform::Instant limit, cancel_token token = {}) const;
  /// One-way calls that this core makes within the node and that have not ended. This core only.
  std::uint32_t& own_sends() noexcept { return calls_[to_number(Core::current().index())].own_sends; }
  /// Calls that this core has made, and given up, and that have not ended. This core only.
  std::uint32_t& given_up() noexcept { return calls_[to_number(Core::current().index())].given_up; }
  /// Fires the tokens of those that took a call_context. This core only.
  void cancel_calls(ObjectId id);

  /// What this node has and has had to do. Any core.
  ObjectCounts counts() const noexcept;
  /// How many objects this node knows, those that have ended and are not forgotten among them.
  std::size_t known_objects() const noexcept { return known_.load(std::memory_order_relaxed); }

  /// For instance() alone.
  NodeTable();
  ~NodeTable();
  NodeTable(const NodeTable&) = delete;
  NodeTable& operator=(const NodeTable&) = delete;

 private:
  friend class detail::CallUnderWay;
  friend class detail::CallOnStack;
  friend class detail::ServedContext;
  using Entry = detail::ObjectEntry;
  static constexpr std::size_t kPageSlots = 4096;
  static constexpr std::size_t kPages = kMaxObjects / kPageSlots;
  static constexpr std::size_t kShards = 64;
  // Entries that are freed at once: asking all cores should be worth it, and not take long.
  static constexpr std::size_t kFewest = 64;
  static constexpr std::size_t kMost = 1024;
  using Page = std::array<std::atomic<Entry*>, kPageSlots>;

  // A context of `core` that waits for the root of `entry`.
  struct Waiter {
    Entry* entry;
    CoreIndex core;
    Context* context;
  };
  // What an object was swapped to.
  struct Implemented {
    detail::Swap swap;
    std::map<CoreIndex, const detail::Implementation*> cores;  // what each's representative is of; one that is missing: its own type
  };
  struct Shard {
    std::mutex mutex;
    std::vector<Waiter> waiters;  // bounded by kMaxCores * Context::kMaxContexts
    std::unordered_map<const Entry*, Implemented> implementations;  // of those that were swapped
    std::map<std::pair<ObjectId, CoreIndex>, Bytes> dropped;  // states; in place of the parts that gave them
    std::map<std::pair<ObjectId, CoreIndex>, void*> parked;   // representatives that nobody may see for now
  };

  // An ended object that is still remembered so; oldest first.
  struct Buried {
    ObjectId id;
    std::unique_ptr<Entry> entry;  // also in its slot, unless another object has taken that
  };
  Entry* find(ObjectId id) const noexcept;
  bool forgotten(const Entry& entry) const noexcept;
  void bury(ObjectId id, Entry* entry);
  task<void> free_forgotten();
  /// An entry that is made is made with what `swap` says, if it is one.
  Entry* find_or_add(ObjectId id, const detail::TypeDescriptor& type, detail::Swap swap = {});
  Entry& known(ObjectId id, Entry* entry, const detail::TypeDescriptor* type);
  task<Result<void>> introduce(ObjectId id, const detail::TypeDescriptor* type, bool* asked);
  task<Result<void>> ask(ObjectId id, const detail::TypeDescriptor* type);
  Result<void> enter_record(ObjectId id, const ObjectRecord& record, const detail::TypeDescriptor* type);
  static Result<void> agree(ObjectId id, const Entry& entry, const detail::TypeDescriptor* type);
  void* counted_miss(ObjectId id, const detail::TypeDescriptor* type);
  void* make(ObjectId id, Entry& entry);
  void need_root(ObjectId id, Entry& entry);
  void finish_root(ObjectId id, Entry& entry, Entry::State state, void* root);
  const detail::Implementation* implementation_of(ObjectId id, const Entry& entry);
  /// Nothing if a later swap has come already.
  void implement(ObjectId id, Entry& entry, detail::Swap swap);
  void forget_implementation(ObjectId id, const Entry* entry);
  /// This core's representative is made by `implementation`.
  void note_implemented(ObjectId id, const Entry& entry, const detail::Implementation* implementation);
  /// Whether this core's representative is to be replaced by one of `implementation`: it is of another, and no later swap came.
  bool wants(ObjectId id, const Entry& entry, const detail::Implementation* implementation);
  /// What a core had of an object that ends.
  struct Hidden {
    void* representative = nullptr;
    bool busy = false;  // calls are under way
  };
  /// Makes this event the one that ends the object. False: another has just done so.
  task<Result<bool>> begin_end(ObjectId id, Entry* entry, platform::Duration calls_limit);
  task<Result<void>> end_parts(ObjectId id, Entry* entry, const detail::TypeDescriptor* type, platform::Duration calls_limit);
  Hidden hide_here(ObjectId id, Entry& entry);
  task<bool> end_here(ObjectId id, Entry* entry, const detail::TypeDescriptor* type, void* representative,
                      platform::Duration calls_limit);
  /// Puts a successor into the slot of `old`, which is taken out and not ended.
  Result<void> succeed(ObjectId id, Entry& entry, const detail::Implementation& implementation, void* old);
  task<Result<bool>> swap_here(ObjectId id, Entry* entry, const detail::Implementation* implementation);
  enum class Dropped : std::uint8_t { absent, gone, busy };
  Dropped drop_idle_here(ObjectId id, Entry& entry, const detail::TypeDescriptor& type);
  Result<void> drop_whole(ObjectId id, Entry& entry, const detail::TypeDescriptor& type, bool goes);
  void keep_state(ObjectId id, Entry& entry, CoreIndex core, Bytes state);
  bool is_home_here(ObjectId id) const noexcept;
  void park(ObjectId id, Entry& entry, void* representative);
  /// The representative of a home that was out of sight while the node had no lease; nullptr: there is none.
  void* bring_back(ObjectId id, const Entry& entry);
  void* take_parked(ObjectId id, const Entry& entry);
  void restore_dropped(ObjectId id, Entry& entry, CoreIndex core, void* made);
  void forget_dropped(ObjectId id);
  detail::MissCounters& misses_here() noexcept { return calls_[to_number(Core::current().index())].misses; }
  void link(detail::ServedContext& context) noexcept;
  void unlink(detail::ServedContext& context) noexcept;
  Shard& shard_of(ObjectId id) noexcept { return shards_[id.index() % kShards]; }

  std::unique_ptr<Directory> directory_;
  std::array<std::atomic<Page*>, kPages> pages_{};
  std::array<Shard, kShards> shards_;
  detail::FirstLookups first_lookups_;
  struct alignas(64) CoreCalls {
    struct Counts {
      std::uint32_t all = 0;
      std::uint32_t served = 0;  // of those
    };
    std::unordered_map<ObjectId, Counts> under_way;  // bounded by the core's calls
    detail::CallOnStack* on_stack = nullptr;                   // bounded by the core's contexts, and how deep they nest
    detail::ServedContext* contexts = nullptr;                 // of those that took one
    std::uint32_t own_sends = 0;                               // one-way calls of this core within the node
    std::uint32_t given_up = 0;                                // and calls that nobody waits for any more
    detail::MissCounters misses;                               // any core reads them
  };
  std::array<CoreCalls, kMaxCores> calls_;  // each used on its core only
  std::atomic<std::size_t> known_{0};
  platform::Duration forget_after_ = kForgetAfter;
  std::mutex buried_mutex_;
  std::deque<Buried> buried_;  // of the ends of the last kForgetAfter, and kFewest
  bool freeing_ = false;       // under buried_mutex_
};

template <class Visit>
void NodeTable::for_each(Visit visit) const {
  for (std::size_t page = 0; page < kPages; ++page) {
    const Page* slots = pages_[page].load(std::memory_order_acquire);
    if (slots == nullptr) continue;
    for (std::size_t slot = 0; slot < kPageSlots; ++slot) {
      const Entry* entry = (*slots)[slot].load(std::memory_order_acquire);
      if (entry == nullptr || entry->state.load(std::memory_order_acquire) == Entry::State::ended) continue;
      const std::uint64_t cores = entry->cores.load(std::memory_order_acquire);
      if (cores == 0) continue;
      if (!visit(ObjectId(static_cast<std::uint32_t>(page * kPageSlots + slot)), *entry->type, cores)) return;
    }
  }
}

}  // namespace ebb
