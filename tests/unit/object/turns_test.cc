// Calls from another core of the node: their objects take turns there, what comes too late does not run, and none of them takes the
// room of calls from other nodes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

constexpr CoreIndex kThere{1};

int run(std::function<task<int>()> body) {
  return run_cores(2, [&body]() -> task<int> { return ebb::testing::with_clean_end(body()); });
}

std::vector<int> begun;  // on kThere

struct Noter {
  void note(int object) { begun.push_back(object); }
  bool note_unless_cancelled(const call_context& context, int object) {
    begun.push_back(object);
    return !context.cancellation.is_cancelled();
  }
  using interface = ebb::interface<"test.TurnNoter/1", method<"note", &Noter::note>,
                                   method<"note_unless_cancelled", &Noter::note_unless_cancelled>>;
};
struct NoterAtHome : Noter {
  using policy = single_home;
  using interface = ebb::interface<"test.TurnNoterAtHome/1", method<"note", &NoterAtHome::note>>;
};
struct KeyNoter : Noter {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 16;
  std::uint16_t core() const { return to_number(Core::current().index()); }
  int save() const { return 0; }
  void restore(int) {}
  using interface = ebb::interface<"test.TurnKeyNoter/1", method<"note", &KeyNoter::note>, method<"core", &KeyNoter::core>>;
};

/// Keeps the other core busy from when it has heard of it until this is gone.
class Hold {
 public:
  Hold() {
    const Result<void> sent = Core::spawn_on(kThere, [this] {
      held_ = true;
      while (!go_) {
      }
      gone_ = true;
    });
    if (!sent) std::abort();
    while (!held_) {
    }
  }
  ~Hold() {
    go_ = true;
    while (!gone_) {
    }
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  std::atomic<bool> held_{false};
  std::atomic<bool> go_{false};
  std::atomic<bool> gone_{false};
};

using Call = std::function<task<Result<void>>(int object)>;

std::size_t made = 0;
task<void> make(const Call* call, int object) {
  ++made;
  (co_await (*call)(object)).value();
}

/// 400 calls of object 1, and behind them three of object 2, all of which come while the other core is busy.
task<void> expect_turns(Call call) {
  constexpr std::size_t kFlood = 400;
  (co_await call(1)).value();  // makes what there is to be made
  (co_await call(2)).value();
  begun.clear();
  made = 0;
  Scope scope;
  {
    const Hold hold;
    for (std::size_t i = 0; i < kFlood; ++i) scope.spawn(make(&call, 1));
    for (int i = 0; i < 3; ++i) scope.spawn(make(&call, 2));
    while (made != kFlood + 3) co_await yield();
  }
  co_await scope.join();
  EXPECT_EQ(begun.size(), kFlood + 3);
  const auto first = std::find(begun.begin(), begun.end(), 2);
  // A turn of the loop takes so many out of the ring at most, and begins so many; so it cannot be later, whatever the core does.
  EXPECT_LE(first - begun.begin(), static_cast<std::ptrdiff_t>(Core::kBatch) + 2) << "it waited for the whole flood";
  EXPECT_EQ(std::vector<int>(first, first + 5), (std::vector<int>{2, 1, 2, 1, 2}));
}

TEST(Turns, AreTakenByObjectsThatAnotherCoreCalls) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto one = (co_await create<Noter>()).value();
    const auto two = (co_await create<Noter>()).value();
    co_await expect_turns([one, two](int object) { return (object == 1 ? one : two).on(kThere).call<&Noter::note>(object); });
    co_return 0;
  }), 0);
}

TEST(Turns, AreTakenByHomesThatAnotherCoreCalls) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto one = (co_await create_at<NoterAtHome>(this_node(), kThere)).value();
    const auto two = (co_await create_at<NoterAtHome>(this_node(), kThere)).value();
    co_await expect_turns([one, two](int object) { return (object == 1 ? one : two).call<&NoterAtHome::note>(object); });
    co_return 0;
  }), 0);
}

task<int> key_there(ref<KeyNoter> object) {
  int key = 0;
  for (;; ++key) {
    const auto core = (co_await object.on_key(key).call<&KeyNoter::core>()).value();
    if (core == to_number(kThere)) break;
  }
  co_return key;
}

TEST(Turns, AreTakenByPartitionedObjectsThatAnotherCoreCalls) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto one = (co_await create<KeyNoter>()).value();
    const auto two = (co_await create<KeyNoter>()).value();
    const int first_key = co_await key_there(one);
    const int second_key = co_await key_there(two);
    co_await expect_turns([=](int object) {
      return object == 1 ? one.on_key(first_key).call<&KeyNoter::note>(object) : two.on_key(second_key).call<&KeyNoter::note>(object);
    });
    co_return 0;
  }), 0);
}

TEST(Turns, ComeTooLateForACallWhoseDeadlineHasPassed) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto object = (co_await create<Noter>()).value();
    (co_await object.on(kThere).call<&Noter::note>(1)).value();
    begun.clear();
    {
      const Hold hold;
      EXPECT_EQ((co_await object.on(kThere).within(5ms).call<&Noter::note>(2)).code(), Errc::deadline_exceeded);
    }
    (co_await object.on(kThere).call<&Noter::note>(3)).value();
    EXPECT_EQ(begun, std::vector<int>{3});
    co_return 0;
  }), 0);
}

TEST(Turns, ComeTooLateForACallThatWasCancelled) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto object = (co_await create<Noter>()).value();
    (co_await object.on(kThere).call<&Noter::note>(1)).value();
    begun.clear();
    {
      const Hold hold;
      cancel_source source;
      Core::current().call_after(5ms, [&source] { source.cancel(); });
      EXPECT_EQ((co_await object.on(kThere).cancelled_by(source.token()).call<&Noter::note_unless_cancelled>(2)).code(),
                Errc::cancelled);
    }
    // The cancellation went over behind the call, which was in its line when it came.
    (co_await object.on(kThere).call<&Noter::note>(3)).value();
    EXPECT_EQ(begun, std::vector<int>{3});
    co_return 0;
  }), 0);
}

struct Gate {
  static inline bool open = false;
  task<void> wait() {
    while (!open) co_await sleep_for(1ms);
  }
  using interface = ebb::interface<"test.TurnGate/1", method<"wait", &Gate::wait>>;
};

task<void> wait_at(ref<Gate> gate) { (co_await gate.on(Core::current().index()).call<&Gate::wait>()).value(); }
task<void> be_served(ref<Gate> gate, std::vector<Errc>* ends) {
  ends->push_back((co_await detail::serve_call(gate.id(), CoreIndex{0}, Gate::interface::method_id<&Gate::wait>(), {})).code());
}

TEST(Turns, AndRoomForCallsFromOtherNodesAreNotTakenByThoseWithinTheNode) {
  EXPECT_EQ(run([]() -> task<int> {
    Gate::open = false;
    const auto gate = (co_await create<Gate>()).value();
    static_cast<void>(&*gate);
    Scope scope;
    std::vector<Errc> ends;
    for (std::uint32_t i = 0; i < detail::kMaxCallsPerObject + 10; ++i) scope.spawn(wait_at(gate));
    while (NodeTable::instance().calls_under_way(gate.id()) != detail::kMaxCallsPerObject + 10) co_await yield();
    for (std::uint32_t i = 0; i < detail::kMaxCallsPerObject + 1; ++i) scope.spawn(be_served(gate, &ends));
    while (ends.empty()) co_await yield();
    EXPECT_EQ(ends, std::vector<Errc>{Errc::overloaded}) << "the one beyond the bound";
    Gate::open = true;
    co_await scope.join();
    EXPECT_EQ(std::count(ends.begin(), ends.end(), Errc::ok), detail::kMaxCallsPerObject);
    EXPECT_EQ(NodeTable::instance().calls_under_way(gate.id()), 0u);
    co_return 0;
  }), 0);
}

task<void> give_up(ref<Gate> gate, cancel_token token) {
  EXPECT_EQ((co_await gate.on(CoreIndex{0}).cancelled_by(token).call<&Gate::wait>()).code(), Errc::cancelled);
}

TEST(Turns, NobodyMakesCallsWithoutEndThatHeGivesUp) {
  EXPECT_EQ(run([]() -> task<int> {
    Gate::open = false;
    const auto gate = (co_await create<Gate>()).value();
    {
      cancel_source source;
      Scope scope;
      for (std::uint32_t i = 0; i < detail::kMaxGivenUp; ++i) scope.spawn(give_up(gate, source.token()));
      while (NodeTable::instance().calls_under_way(gate.id()) != detail::kMaxGivenUp) co_await yield();
      source.cancel();
      co_await scope.join();
    }
    const Result<void> refused = co_await gate.on(CoreIndex{0}).within(10s).call<&Gate::wait>();
    EXPECT_EQ(refused.code(), Errc::overloaded);
    EXPECT_TRUE(!refused && refused.error().is_refusal());
    EXPECT_EQ(NodeTable::instance().calls_under_way(gate.id()), detail::kMaxGivenUp);
    Gate::open = true;
    while (NodeTable::instance().calls_under_way(gate.id()) != 0) co_await sleep_for(1ms);
    co_await sleep_for(1ms);
    const Result<void> taken = co_await gate.on(CoreIndex{0}).within(10s).call<&Gate::wait>();
    EXPECT_EQ(taken.code(), Errc::ok) << "there is room again";
    EXPECT_EQ(NodeTable::instance().given_up(), 0u);
    co_return 0;
  }), 0);
}

}  // namespace
