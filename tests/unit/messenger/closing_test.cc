// How a node of several cores closes its messenger: all cores at once, and none before the others have done their work.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/messenger/pair.h"

namespace {

using namespace ebb;
using namespace ebb::messenger_test;

constexpr std::size_t kCores = 4;

/// Counts the calls that come, by the cores that they come to.
struct Spread final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall call) override {
    ++come[to_number(Core::current().index())];
    return peer.on_call(std::move(call));
  }
  void on_connection_lost(NodeId, const Error&) override {}
  bool everywhere() const {
    for (const std::atomic<int>& each : come) {
      if (each == 0) return false;
    }
    return true;
  }
  int all() const {
    int sum = 0;
    for (const std::atomic<int>& each : come) sum += each;
    return sum;
  }
  Peer peer;
  std::array<std::atomic<int>, kCores> come{};
};

task<void> send_from(Messenger* messenger, CallTarget target) {
  EXPECT_TRUE(co_await messenger->send(target, Bytes()));
}

/// One-way, from a core of the node to itself.
task<void> begin_on(CoreIndex core, Messenger* messenger, CallTarget target) {
  auto send = [messenger, target] { return send_from(messenger, target); };
  co_await on_core(core, send);
}

task<void> close_and_note(Messenger* messenger, bool* closed) {
  co_await messenger->close();
  *closed = true;
}

TEST(Closing, CancelsAndAnswersTheCallsOfAllCoresAtOnce) {
  run(kCores, []() -> task<int> {
    Spread spread;
    auto closes = (co_await Messenger::start({NodeId{2}, key_of('k'), kLoopback}, spread)).value();
    // Which core a connection comes to is the platform's to say: as many callers as it takes.
    Peer handler;
    std::vector<std::unique_ptr<Messenger>> callers;
    Scope scope;
    int answered = 0;
    while (!spread.everywhere() && callers.size() < 100) {
      const NodeId next{static_cast<std::uint32_t>(10 + callers.size())};
      callers.push_back((co_await Messenger::start({next, key_of('k'), kLoopback}, handler)).value());
      co_await callers.back()->set_peer(NodeId{2}, closes->local());
      scope.spawn(expect_code(callers.back().get(), to(2, until_cancelled), Errc::ok, &answered));
      const auto has_come = [&] { return spread.all() == static_cast<int>(callers.size()); };
      EXPECT_TRUE(co_await comes(has_come));
    }
    EXPECT_TRUE(spread.everywhere());
    const platform::Instant begin = platform::Clock::now();
    co_await closes->close();
    // A second of patience; with the cores one after the other it would be four.
    EXPECT_LT(platform::Clock::now() - begin, 2500ms);
    co_await scope.join();
    EXPECT_EQ(answered, static_cast<int>(callers.size()));
    for (const auto& each : callers) co_await each->close();
    co_return 0;
  });
}

TEST(Closing, OfACoreDoesNotWaitForACallOfAnotherThatNeverLooks) {
  run(kCores, []() -> task<int> {
    Peer peer;
    auto closes = (co_await Messenger::start({NodeId{2}, key_of('k'), kLoopback}, peer)).value();
    co_await begin_on(CoreIndex{0}, closes.get(), to(2, hold));
    for (std::uint16_t core = 1; core < kCores; ++core) co_await begin_on(CoreIndex{core}, closes.get(), to(2, until_cancelled));
    const auto have_come = [&peer] { return peer.calls == kCores; };
    EXPECT_TRUE(co_await comes(have_come));
    Scope scope;
    bool closed = false;
    scope.spawn(close_and_note(closes.get(), &closed));
    const auto are_cancelled = [&peer] { return peer.cancelled == kCores - 1; };
    EXPECT_TRUE(co_await comes(are_cancelled)) << peer.cancelled << " of the other cores' calls have heard of it";
    EXPECT_FALSE(closed) << "a call still runs";
    peer.released.complete();
    co_await scope.join();
    EXPECT_TRUE(closed);
    co_return 0;
  });
}

/// A handler whose work is on the first core, wherever its calls come to, and calls another node from there.
struct Hopping final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall) override { return hop(this); }
  static task<Result<Bytes>> call_from_here(Messenger* messenger) { return messenger->call(to(1, never), Bytes()); }
  static task<Result<Bytes>> hop(Hopping* self) {
    auto work = [messenger = self->messenger] { return call_from_here(messenger); };
    Result<Bytes> answer = co_await on_core(CoreIndex{0}, work);
    self->code = answer.code();
    co_return answer;
  }
  void on_connection_lost(NodeId, const Error&) override {}
  Messenger* messenger = nullptr;
  std::atomic<Errc> code = Errc::internal;
};

TEST(Closing, LetsWhatRunsOnAnotherCoreThanItCameToCallOthersFromThere) {
  run(kCores, []() -> task<int> {
    Peer left;
    Hopping right;
    auto a = (co_await Messenger::start({NodeId{1}, key_of('k'), kLoopback}, left)).value();
    auto b = (co_await Messenger::start({NodeId{2}, key_of('k'), kLoopback}, right)).value();
    right.messenger = b.get();
    co_await b->set_peer(NodeId{1}, a->local());
    co_await begin_on(CoreIndex{1}, b.get(), to(2, echo));
    const auto waits = [&left] { return left.calls != 0; };
    EXPECT_TRUE(co_await comes(waits));
    co_await b->close();
    EXPECT_EQ(right.code, Errc::ok);
    co_await a->close();
    co_return 0;
  });
}

}  // namespace
