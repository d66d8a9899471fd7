// Calls between messengers that keep to the protocol.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "src/messenger/connection.h"
#include "src/messenger/core_messenger.h"
#include "src/object/collective_service.h"
#include "tests/unit/messenger/pair.h"

namespace {

using namespace ebb;
using namespace ebb::messenger_test;

TEST(Messenger, CarriesCallsBothWaysOverOneConnection) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("hello"))).value(), bytes("hello"));
    EXPECT_EQ(pair.right.last.from, NodeId{1});
    EXPECT_EQ(pair.right.last.object, ObjectId{1025});
    EXPECT_EQ(pair.right.last.core, CoreIndex{3});
    EXPECT_EQ((co_await pair.b->call(to(1, echo), Bytes())).value(), Bytes());
    EXPECT_EQ((co_await pair.a->call(to(1, echo), bytes("myself"))).value(), bytes("myself"));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, BringsErrorsBack) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto failed = co_await pair.a->call(to(2, fail), Bytes());
    EXPECT_EQ(failed.code(), Errc::application_error);
    EXPECT_EQ(failed.error().text(), "std::runtime_error: no");
    EXPECT_EQ((co_await pair.a->call(to(9, echo), Bytes())).code(), Errc::node_gone) << "nobody knows node 9";
    EXPECT_EQ((co_await pair.a->call(to(2, echo, 0s), Bytes())).code(), Errc::invalid_argument);
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, CarriesTheLargestPayloadAndNoLargerOne) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Bytes largest(Messenger::kMaxPayloadBytes);
    for (std::size_t i = 0; i < largest.size(); i += 1000) largest[i] = static_cast<std::byte>(i / 1000);
    EXPECT_TRUE((co_await pair.a->call(to(2, echo), largest)).value() == largest);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), Bytes(Messenger::kMaxPayloadBytes + 1))).code(), Errc::too_large);
    EXPECT_EQ((co_await pair.a->call(to(2, big), Bytes())).code(), Errc::too_large);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("still here"))).value(), bytes("still here"));
    co_await pair.close();
    co_return 0;
  });
}

task<Result<Bytes>> call_from(Messenger* messenger, CallTarget target, Bytes arguments) {
  return messenger->call(target, std::move(arguments));
}

TEST(Messenger, ServesEveryCoreAndManyCallsAtOnce) {
  run(2, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    for (std::uint16_t core = 0; core < 2; ++core) {
      auto* a = pair.a.get();
      EXPECT_EQ((co_await on_core(CoreIndex{core}, [a] { return call_from(a, to(2, echo), bytes("x")); })).value(), bytes("x"));
    }
    std::vector<task<Result<Bytes>>> calls;
    for (int i = 0; i < 2000; ++i) calls.push_back(pair.a->call(to(2, echo), bytes(std::to_string(i))));
    int next = 0;
    for (const auto& answer : co_await when_all(std::move(calls))) EXPECT_EQ(answer.value(), bytes(std::to_string(next++)));
    co_await pair.close();
    co_return 0;
  });
}

task<void> send_number(Messenger* messenger, int number) {
  // One for which there is no room any more is not sent, which disturbs no order.
  const auto sent = co_await messenger->send(to(2, note), bytes(std::to_string(number)));
  static_cast<void>(sent);
}

/// At every turn of the loop one is sent, from before there is a connection until after: none overtakes those that waited for it.
TEST(Messenger, KeepsTheOrderOfMessagesWhileItConnects) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    for (int number = 0; pair.right.noted.size() < 100 && number < 100'000; ++number) {
      scope.spawn(send_number(pair.a.get(), number));
      co_await yield();
    }
    co_await scope.join();
    EXPECT_GE(pair.right.noted.size(), 100u);
    EXPECT_TRUE(std::is_sorted(pair.right.noted.begin(), pair.right.noted.end()));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, RefusesAWrongKeyOnBothSides) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start('k', 'q');
    const auto refused = co_await pair.a->call(to(2, echo), bytes("secret"));
    EXPECT_EQ(refused.code(), Errc::unauthenticated);
    EXPECT_EQ(pair.right.calls, 0);
    EXPECT_TRUE(pair.left.lost.empty() && pair.right.lost.empty()) << "a stranger cannot be lost";
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, GivesUpAtTheDeadlineAndDropsTheLateAnswer) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_EQ((co_await pair.a->call(to(2, never, 20ms), Bytes())).code(), Errc::deadline_exceeded);
    co_await sleep_for(250ms);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("next"))).value(), bytes("next"));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, EndsPendingCallsWhenThePeerCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int ended = 0;
    for (int i = 0; i < 3; ++i) scope.spawn(expect_code(pair.a.get(), to(2, never), Errc::node_gone, &ended));
    while (pair.right.calls < 3) co_await sleep_for(1ms);
    co_await pair.b->forget_peer(NodeId{1}, "node 1 is unwanted");
    co_await scope.join();
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(pair.left.lost.size(), 1u);
    if (!pair.left.lost.empty()) {
      EXPECT_EQ(pair.left.lost[0].first, NodeId{2});
    }
    const auto unwanted = co_await pair.b->call(to(1, echo), Bytes());
    EXPECT_EQ(unwanted.code(), Errc::node_gone);
    EXPECT_EQ(unwanted.error().text(), "node 1 is unwanted; nothing ran");
    EXPECT_EQ((co_await pair.a->call(to(2, echo), Bytes())).code(), Errc::node_gone) << "it may connect, and is turned away";
    co_await sleep_for(250ms);  // the handlers that were under way
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, CancelsItsOwnCallsWhenItCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int ended = 0;
    scope.spawn(expect_code(pair.a.get(), to(2, hold), Errc::cancelled, &ended));
    while (pair.right.calls == 0) co_await sleep_for(1ms);
    co_await pair.a->close();
    co_await scope.join();
    EXPECT_EQ(ended, 1);
    EXPECT_EQ((co_await pair.b->call(to(1, echo, 1s), Bytes())).code(), Errc::node_gone);
    pair.right.released.complete();
    co_await pair.b->close();
    co_return 0;
  });
}

TEST(Messenger, BoundsPendingCalls) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int overloaded = 0;
    struct Count {
      static task<void> one(Messenger* messenger, int* overloaded) {
        const auto answer = co_await messenger->call(to(2, never, 500ms), Bytes());
        if (answer.code() == Errc::overloaded && answer.error().is_refusal()) ++*overloaded;
      }
    };
    static_cast<void>(co_await pair.a->call(to(2, echo), Bytes()));
    constexpr int kBeyond = 10;
    for (std::size_t i = 0; i < messenger::Connection::kMaxPendingCalls + kBeyond; ++i) {
      scope.spawn(Count::one(pair.a.get(), &overloaded));
    }
    co_await scope.join();
    // Ours beyond the table, and those that the peer would not take on.
    EXPECT_GE(overloaded, kBeyond);
    // On a slow machine the peer still works on some whose callers have given up.
    Result<Bytes> after = Error(Errc::overloaded, "");
    for (int i = 0; i < 500 && after.code() == Errc::overloaded; ++i) {
      after = co_await pair.a->call(to(2, echo), bytes("after"));
      co_await sleep_for(10ms);
    }
    EXPECT_EQ(after.value(), bytes("after"));
    co_await pair.close();
    co_return 0;
  });
}

task<void> call_until(Messenger* messenger, ObjectId object, cancel_token enough, int* overloaded) {
  CallTarget target = to(2, until_cancelled);
  target.object = object;
  target.cancellation = std::move(enough);
  const auto answer = co_await messenger->call(std::move(target), Bytes());
  if (answer.code() == Errc::overloaded) ++*overloaded;
}

/// So many calls of `slow` that the peer takes on no more of them.
task<int> keep_room_beside(ObjectId slow) {
  Pair pair;
  co_await pair.start();
  cancel_source enough;
  Scope scope;
  int overloaded = 0;
  for (std::size_t i = 0; i <= messenger::Connection::kMaxIncomingCalls; ++i) {
    scope.spawn(call_until(pair.a.get(), slow, enough.token(), &overloaded));
  }
  while (overloaded == 0) co_await sleep_for(1ms);
  // Others find no place any more.
  EXPECT_EQ((co_await pair.a->call(to(2, echo), Bytes())).code(), Errc::overloaded);
  const auto answer = co_await pair.a->call(control_to(2, echo), bytes("here"));
  EXPECT_TRUE(answer && *answer == bytes("here"));
  enough.cancel();
  co_await scope.join();
  co_await pair.close();
  co_return 0;
}

TEST(Messenger, KeepsRoomForCallsOfTheRuntime) {
  run(1, [] { return keep_room_beside(to(2, echo).object); });
}

/// They wait for methods of applications, each as long as its slowest.
TEST(Messenger, KeepsRoomForCallsOfTheRuntimeBesidePartsOfCollectiveCalls) {
  run(1, [] { return keep_room_beside(detail::kCollectiveService.id()); });
}

task<void> call_with(Messenger* messenger, std::size_t bytes, std::size_t* overloaded) {
  const auto answer = co_await messenger->call(to(1, until_cancelled), Bytes(bytes));
  if (answer.code() == Errc::overloaded) ++*overloaded;
}

/// Calls of so many bytes, of more peers than a core has room for, each with fewer than a connection may have.
task<int> hold_for_all(std::size_t bytes, std::size_t calls_each) {
  Pair pair;
  co_await pair.start();
  constexpr std::size_t kMost = messenger::CoreMessenger::kMaxHeldBytes;
  const std::size_t room = kMost / (bytes + messenger::CoreMessenger::kCallCost);
  const std::size_t count = room / calls_each + 1;
  Peer handler;
  std::vector<std::unique_ptr<Messenger>> peers;
  std::size_t overloaded = 0;
  Scope scope;
  for (std::uint32_t at = 0; at < count; ++at) {
    peers.push_back((co_await Messenger::start({NodeId{10 + at}, key_of('k'), kLoopback}, handler)).value());
    co_await peers.back()->set_peer(NodeId{1}, pair.a->local());
    for (std::size_t i = 0; i < calls_each; ++i) scope.spawn(call_with(peers.back().get(), bytes, &overloaded));
  }
  const std::size_t too_many = count * calls_each - room;
  // Those that find room wait for their turns, and refusals do not.
  auto all_told = [&] { return overloaded >= too_many && static_cast<std::size_t>(pair.left.calls) >= room; };
  for (int i = 0; i < 20000 && !all_told(); ++i) co_await sleep_for(1ms);
  EXPECT_EQ(static_cast<std::size_t>(pair.left.calls), room);
  EXPECT_EQ(overloaded, too_many);
  EXPECT_TRUE(co_await pair.b->call(control_to(1, echo), Bytes())) << "what keeps the cluster together goes on";
  // They are cancelled, and hold nothing any more.
  for (const auto& each : peers) co_await each->close();
  co_await scope.join();
  co_await pair.close();
  co_return 0;
}

TEST(Messenger, BoundsWhatACoreHoldsForAllItsPeers) {
  run(1, [] { return hold_for_all(Messenger::kMaxPayloadBytes, 3); });
}

TEST(Messenger, BoundsHowManyCallsACoreWorksOnForAllItsPeers) {
  run(1, [] { return hold_for_all(0, messenger::Connection::kMaxIncomingCalls - messenger::Connection::kControlCalls); });
}

TEST(Messenger, AnswersAnExceptionThatLeavesACallWithAnError) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto answer = co_await pair.a->call(to(2, leave), Bytes());
    EXPECT_EQ(answer.code(), Errc::internal);
    EXPECT_EQ(answer.error().text(), "left");
    // And what nobody waits for leaves nothing behind.
    EXPECT_TRUE(co_await pair.a->send(to(2, leave), Bytes()));
    EXPECT_TRUE(co_await pair.a->send(to(1, leave), Bytes()));
    co_await sleep_for(1ms);
    EXPECT_TRUE(co_await pair.a->send(to(1, echo), Bytes()));
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("still here"))).value(), bytes("still here"));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, LeavesThePartsOfOtherCoresAloneWhenTheNodeIsStopped) {
  EXPECT_EQ(run_cores(2, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    for (std::uint16_t core = 0; core < 2; ++core) {
      auto* a = pair.a.get();
      auto* b = pair.b.get();
      EXPECT_TRUE(co_await on_core(CoreIndex{core}, [a] { return call_from(a, to(2, echo), bytes("x")); }));
      EXPECT_TRUE(co_await on_core(CoreIndex{core}, [b] { return call_from(b, to(1, echo), bytes("y")); }));
    }
    request_stop(9);
    co_await sleep_for(1h);
    co_return 0;
  }), 9);
}

TEST(Messenger, EndsCallsThatWaitForAConnectionWhenItCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    std::vector<std::unique_ptr<platform::Stream>> unanswered;
    auto ignore = [&unanswered](std::unique_ptr<platform::Stream> stream) { unanswered.push_back(std::move(stream)); };
    auto silent = platform::listen(kLoopback, std::move(ignore)).value();
    co_await pair.a->set_peer(NodeId{3}, silent->local());
    Scope scope;
    int ended = 0;
    for (int i = 0; i < 3; ++i) scope.spawn(expect_code(pair.a.get(), to(3, echo), Errc::cancelled, &ended));
    co_await sleep_for(1ms);
    co_await pair.close();
    co_await scope.join();
    EXPECT_EQ(ended, 3);
    co_return 0;
  });
}

TEST(Messenger, SettlesCallsWhenBothSidesConnectAtOnce) {
  run(2, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    std::vector<task<Result<Bytes>>> calls;
    for (int i = 0; i < 50; ++i) {
      calls.push_back(pair.a->call(to(2, echo), bytes("from a")));
      calls.push_back(pair.b->call(to(1, echo), bytes("from b")));
    }
    for (const auto& answer : co_await when_all(std::move(calls))) EXPECT_TRUE(answer);
    EXPECT_TRUE(pair.left.lost.empty() && pair.right.lost.empty());
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, TakesAnotherNodeAtAPeersPlaceForAPeerThatIsGone) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    co_await pair.a->set_peer(NodeId{3}, pair.b->local());
    const auto answer = co_await pair.a->call(to(3, echo), Bytes());
    EXPECT_EQ(answer.code(), Errc::node_gone);
    EXPECT_EQ(pair.right.calls, 0);
    co_await pair.close();
    co_return 0;
  });
}

/// Calls until the peer has been forgotten; counts what came back.
task<void> call_until_gone(Messenger* messenger, std::uint32_t node, std::atomic<int>* answered, std::atomic<int>* gone) {
  while (true) {
    const auto answer = co_await messenger->call(to(node, echo), bytes("again"));
    if (!answer) {
      EXPECT_EQ(answer.code(), Errc::node_gone) << answer.error().to_string();
      ++*gone;
      co_return;
    }
    ++*answered;
  }
}

task<void> call_from_here(Messenger* a, Messenger* b, std::atomic<int>* answered, std::atomic<int>* gone) {
  Scope scope;
  for (int i = 0; i < 20; ++i) {
    scope.spawn(call_until_gone(a, 2, answered, gone));
    scope.spawn(call_until_gone(b, 1, answered, gone));
  }
  co_await scope.join();
}

using Counts = std::array<std::atomic<int>, 2>;

task<void> part_ways(Pair* pair, const Counts* answered) {
  while ((*answered)[0] < 1000 || (*answered)[1] < 1000) co_await sleep_for(1ms);
  co_await pair->a->forget_peer(NodeId{2}, "enough");
  co_await pair->b->forget_peer(NodeId{1}, "enough");
}

TEST(Messenger, EndsEveryCallOnceWhenNodesPartInTheMiddle) {
  run(2, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Counts answered{};
    Counts gone{};
    Scope scope;
    struct OnCore {
      static task<void> one(Pair* pair, std::uint16_t core, std::atomic<int>* answered, std::atomic<int>* gone) {
        auto* a = pair->a.get();
        auto* b = pair->b.get();
        co_await on_core(CoreIndex{core}, [=] { return call_from_here(a, b, answered, gone); });
      }
    };
    for (std::uint16_t core = 0; core < 2; ++core) scope.spawn(OnCore::one(&pair, core, &answered[core], &gone[core]));
    scope.spawn(part_ways(&pair, &answered));
    co_await scope.join();
    EXPECT_EQ(gone[0], 40);
    EXPECT_EQ(gone[1], 40);
    co_await pair.close();
    co_return 0;
  });
}

}  // namespace
