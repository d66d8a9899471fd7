#include "src/node/following_directory.h"

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/scope.h"
#include "ebb/async/semaphore.h"
#include "ebb/node.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "src/node/caught.h"
#include "src/node/forwarding_directory.h"
#include "src/node/leasing_directory.h"
#include "src/node/remote_directory.h"
#include "src/node/staying_directory.h"

namespace ebb {
namespace {

// Objects that are entered together as soon as there are so many, and how long fewer wait for others.
constexpr std::size_t kBatch = 64;
constexpr platform::Duration kDelay = std::chrono::milliseconds(1);
// Objects of a core that the directory does not know yet.
constexpr std::size_t kMaxWaiting = Directory::kMaxListed;
// When so few ids are left, the next lease is asked for.
constexpr std::uint32_t kFewIds = Directory::kIdLease / 4;
// How long none is asked for after one was refused.
constexpr platform::Duration kNoLeasePause = std::chrono::seconds(1);

bool may_pass(Errc code) {
  return code == Errc::node_gone || code == Errc::unavailable || code == Errc::deadline_exceeded || code == Errc::overloaded;
}

class FollowingDirectory final : public ForwardingDirectory {
 public:
  using ForwardingDirectory::ForwardingDirectory;

  task<Result<ObjectRecord>> create(NewObject wanted) override {
    const detail::TypeDescriptor* type = detail::TypeRegistration::find(wanted.interface_id);
    // Of what has one place, the directory is the judge from the start.
    const bool follows = type != nullptr && !type->exclusive && wanted.name.empty() && wanted.home == this_node();
    if (follows) return create_here(std::move(wanted));
    // What was made before it, on whatever core, is to have a lower number.
    for (std::size_t core = 0; core < Core::count(); ++core) {
      if (parts_[core].lacks_entries()) return create_next(std::move(wanted));
    }
    return store().create(std::move(wanted));
  }

  task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit) override {
    if (!here().lacks_entries()) co_return co_await store().list(after, limit);
    // Whoever has just made an object expects it in the list.
    co_await flush_here();
    co_return co_await store().list(after, limit);
  }

  task<void> flush() override {
    for (std::uint16_t core = 0; core < Core::count(); ++core) {
      if (!parts_[core].lacks_entries()) continue;
      auto work = [this] { return flush_here(); };
      co_await on_core(CoreIndex{core}, work);
    }
  }

  task<void> close() override {
    closing_.store(true, std::memory_order_relaxed);
    for (std::uint16_t core = 0; core < Core::count(); ++core) {
      auto work = [this] { return close_here(); };
      co_await on_core(CoreIndex{core}, work);
    }
  }

 private:
  /// Whoever waits until so many of a core's objects have been entered.
  struct Flush {
    std::uint64_t made;
    Completion<> done;
  };

  /// What a core has leased and made; used on that core only.
  struct alignas(64) Part {
    std::uint32_t next = 0, end = 0;        // ids that it may use
    IdLease spare;                          // the lease after that
    bool asking = false;                    // for a lease
    platform::Instant ask_again{};          // not before
    std::vector<Completion<>*> leaseless;   // creations that wait for it; bounded by kMaxWaiting
    std::vector<LeasedObject> waiting;      // to be entered, oldest first
    std::vector<Semaphore::Permit> places;  // of them
    bool entering = false;
    TimerId timer;
    // Objects. Only this core changes them; others see of `made` what whoever told them of an object has counted.
    std::atomic<std::uint64_t> made{0}, entered{0};
    std::vector<Flush*> flushes;            // under way; bounded by the calls that flush
    Semaphore room{kMaxWaiting};
    Scope work;

    /// Any core.
    bool lacks_entries() const noexcept { return entered.load(std::memory_order_relaxed) != made.load(std::memory_order_relaxed); }
  };

  Part& here() noexcept { return parts_[to_number(Core::current().index())]; }

  task<Result<ObjectRecord>> create_next(NewObject wanted) {
    co_await flush();
    co_return co_await store().create(std::move(wanted));
  }

  task<Result<ObjectRecord>> create_here(NewObject wanted) {
    if (Result<void> sound = check(wanted); !sound) co_return std::move(sound).error();
    Part& part = here();
    Semaphore::Permit place = co_await part.room.acquire();
    while (part.next == part.end && (part.asking || may_ask(part))) co_await lease_ready(part);
    if (part.next == part.end) co_return co_await create_next(std::move(wanted));
    const ObjectId id(part.next++);
    if (part.next == part.end) use_spare(part);
    if (part.end - part.next <= kFewIds && part.spare.count == 0 && may_ask(part)) ask_for_lease(part);
    ObjectRecord record{id, wanted.interface_id, wanted.interface_name, wanted.home, wanted.policy, wanted.home_core, 1, {}, 0, 0};
    part.places.push_back(std::move(place));  // first: if there is no memory for the other, a place more or less does no harm
    part.waiting.push_back({id, std::move(wanted)});
    ++part.made;
    if (part.entering) co_return record;
    if (part.waiting.size() >= kBatch) {
      begin_entering(part);
    } else if (part.waiting.size() == 1) {
      part.timer = Core::current().call_after(kDelay, [&part, this] { begin_entering(part); });
    }
    co_return record;
  }

  // --- ids ---

  static bool may_ask(const Part& part) { return platform::Clock::now() >= part.ask_again; }

  static void use_spare(Part& part) {
    part.next = part.spare.first.index();
    part.end = part.next + part.spare.count;
    part.spare = {};
  }

  void ask_for_lease(Part& part) {
    if (part.asking) return;
    part.work.spawn(take_lease(part));
    part.asking = true;
  }

  task<void> lease_ready(Part& part) {
    ask_for_lease(part);
    Completion<> answered;
    part.leaseless.push_back(&answered);
    co_await answered;
  }

  task<void> take_lease(Part& part) {
    Result<IdLease> lease = IdLease();
    try {
      lease = co_await store().lease(this_node(), kIdLease);
    } catch (...) {
      lease = detail::caught();
    }
    part.asking = false;
    if (lease) {
      part.spare = *lease;
      if (part.next == part.end) use_spare(part);
    } else {
      part.ask_again = platform::Clock::now() + kNoLeasePause;
    }
    for (Completion<>* each : std::exchange(part.leaseless, {})) each->complete();
  }

  // --- records ---

  void begin_entering(Part& part) {
    Core::current().cancel(part.timer);
    if (part.entering || part.waiting.empty()) return;
    part.work.spawn(enter_waiting(part));
    part.entering = true;
  }

  task<void> enter_waiting(Part& part) {
    while (!part.waiting.empty()) {
      const std::vector<LeasedObject> batch = std::exchange(part.waiting, {});
      const std::vector<Semaphore::Permit> places = std::exchange(part.places, {});
      try {
        co_await enter_batch(&batch);
      } catch (...) {
        // Also without memory for a line that says more.
        platform::write_log("ebb: objects are not in the directory, and only found while this node lives: they could not be sent");
      }
      part.entered += batch.size();
      std::erase_if(part.flushes, [&part](Flush* flush) {
        if (flush->made > part.entered) return false;
        flush->done.complete();
        return true;
      });
    }
    part.entering = false;
  }

  task<void> enter_batch(const std::vector<LeasedObject>* batch) {
    const platform::Instant give_up = platform::Clock::now() + kDefaultTimeout;
    for (int attempt = 0;; ++attempt) {
      // What was entered by an attempt whose answer was lost is passed over.
      Result<void> entered;
      try {
        entered = co_await store().enter(this_node(), *batch);
      } catch (...) {
        entered = detail::caught();
      }
      if (entered) co_return;
      bool again = may_pass(entered.code()) && !closing_.load(std::memory_order_relaxed);
      if (again) again = co_await detail::pause_before_retry(attempt, give_up);
      if (again) continue;
      platform::write_log("ebb: " + std::to_string(batch->size()) + " objects from " + std::to_string(batch->front().id.index()) +
                          " on are not in the directory, and only found while this node lives: " + entered.error().text());
      co_return;
    }
  }

  task<void> flush_here() {
    Part& part = here();
    begin_entering(part);
    if (part.entered == part.made) co_return;
    Flush flush{part.made, {}};
    part.flushes.push_back(&flush);
    co_await flush.done;
  }

  task<void> close_here() {
    Part& part = here();
    begin_entering(part);
    co_await part.work.join();
  }

  std::atomic<bool> closing_{false};  // relaxed: it only ends attempts early
  std::array<Part, kMaxCores> parts_;
};

}  // namespace

std::unique_ptr<Directory> make_following_directory(std::unique_ptr<Directory> store) {
  return std::make_unique<FollowingDirectory>(std::move(store));
}

std::unique_ptr<Directory> make_front_end_directory(std::unique_ptr<Directory> store) {
  return make_following_directory(make_staying_directory(make_leasing_directory(std::move(store))));
}

std::unique_ptr<Directory> make_backend_directory() { return make_following_directory(make_remote_directory()); }

Result<NewObject> detail::describe_here(ObjectId id) {
  const NodeTable& table = NodeTable::instance();
  const TypeDescriptor* type = table.living_type_of(id);
  if (type == nullptr) {
    return Error(Errc::no_such_object, "node " + std::to_string(to_number(this_node())) + " has made no object under the id " +
                                           std::to_string(id.index()));
  }
  const Home home = table.home_of(id);
  return NewObject{std::string(type->interface_name), type->interface_id, std::string(type->policy), home.node, home.core, {}};
}

}  // namespace ebb
