// How a call ends early, or is never answered; what travels with it, and what goes first.
#include <gtest/gtest.h>

#include "tests/unit/messenger/pair.h"

namespace {

using namespace ebb;
using namespace ebb::messenger_test;

task<void> expect_sent(Messenger* messenger, CallTarget target, Errc code, int* ended) {
  const auto sent = co_await messenger->send(target, Bytes());
  EXPECT_EQ(sent.code(), code);
  ++*ended;
}

task<void> wait_until(const std::atomic<int>* counter, int value) {
  for (int i = 0; i < 2000 && counter->load() != value; ++i) co_await sleep_for(1ms);
  EXPECT_EQ(counter->load(), value);
}

TEST(CallLife, EndsAtOnceForItsCallerWhenItIsCancelledAndTellsThePeer) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    cancel_source source;
    CallTarget target = to(2, until_cancelled);
    target.cancellation = source.token();
    Scope scope;
    int ended = 0;
    for (int i = 0; i < 3; ++i) scope.spawn(expect_code(pair.a.get(), target, Errc::cancelled, &ended));
    scope.spawn(expect_code(pair.a.get(), to(2, hold), Errc::ok, &ended));
    co_await wait_until(&pair.right.calls, 4);
    source.cancel();
    co_await wait_until(&pair.right.cancelled, 3);
    EXPECT_EQ(ended, 3) << "the other call goes on";
    pair.right.released.complete();
    co_await scope.join();
    EXPECT_EQ((co_await pair.a->call(target, Bytes())).code(), Errc::cancelled);
    EXPECT_EQ(pair.right.calls, 4) << "what is cancelled before it is sent is not sent";
    co_await pair.close();
    co_return 0;
  });
}

TEST(CallLife, IsCancelledAtThePeerHoweverEarlyTheCallerGivesUp) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_TRUE(co_await pair.a->call(to(2, echo), Bytes()));
    const int before = pair.right.calls;
    cancel_source source;
    CallTarget target = to(2, until_cancelled);
    target.cancellation = source.token();
    Scope scope;
    int ended = 0;
    for (int i = 0; i < 3; ++i) scope.spawn(expect_code(pair.a.get(), target, Errc::cancelled, &ended));
    co_await yield();  // they are queued, and have not gone out
    EXPECT_EQ(pair.right.calls, before);
    source.cancel();
    co_await scope.join();
    EXPECT_TRUE(co_await pair.a->call(to(2, echo), Bytes()));
    co_await sleep_for(50ms);
    EXPECT_EQ(pair.right.calls - before - 1, pair.right.cancelled) << "a call runs, and nobody told it that it need not";
    co_await pair.close();
    co_return 0;
  });
}

TEST(CallLife, EndsWhenItIsCancelledWhileItsNodeIsBeingConnectedTo) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    // Somebody who takes connections and says nothing.
    std::vector<std::unique_ptr<platform::Stream>> taken;
    auto mute = platform::listen(kLoopback, [&taken](std::unique_ptr<platform::Stream> stream) { taken.push_back(std::move(stream)); });
    EXPECT_TRUE(mute);
    co_await pair.a->set_peer(NodeId{3}, (*mute)->local());
    cancel_source source;
    CallTarget target = to(3, echo);
    target.cancellation = source.token();
    Scope scope;
    int ended = 0;
    scope.spawn(expect_code(pair.a.get(), target, Errc::cancelled, &ended));
    scope.spawn(expect_sent(pair.a.get(), target, Errc::cancelled, &ended));
    co_await sleep_for(20ms);
    const platform::Instant begin = platform::Clock::now();
    source.cancel();
    co_await scope.join();
    EXPECT_EQ(ended, 2);
    EXPECT_LT(platform::Clock::now() - begin, 1s);
    co_await pair.close();
    taken.clear();
    co_return 0;
  });
}

TEST(CallLife, WithoutAnAnswerIsCancelledWhenItsNodeCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_TRUE(co_await pair.a->send(to(2, until_cancelled), Bytes()));
    EXPECT_TRUE(co_await pair.b->send(to(2, until_cancelled), Bytes()));
    co_await wait_until(&pair.right.calls, 2);
    co_await pair.b->close();
    EXPECT_EQ(pair.right.cancelled, 2);
    co_await pair.a->close();
    co_return 0;
  });
}

TEST(CallLife, KeepsItsAnswerWhenItsNodeCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int ended = 0;
    // It ends because of the close, and with a value all the same.
    scope.spawn(expect_code(pair.a.get(), to(2, until_cancelled), Errc::ok, &ended));
    co_await wait_until(&pair.right.calls, 1);
    co_await pair.b->close();
    co_await scope.join();
    EXPECT_EQ(ended, 1);
    co_await pair.a->close();
    co_return 0;
  });
}

TEST(CallLife, EndsWhenItIsMadeAfterItsNodeHasClosed) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    co_await pair.close();
    EXPECT_EQ((co_await pair.a->call(to(2, echo), Bytes())).code(), Errc::cancelled);
    EXPECT_EQ((co_await pair.a->send(to(2, echo), Bytes())).code(), Errc::cancelled);
    co_return 0;
  });
}

TEST(CallLife, IsCancelledAtThePeerWhenTheCallerIsLost) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int ended = 0;
    scope.spawn(expect_code(pair.a.get(), to(2, until_cancelled), Errc::node_gone, &ended));
    co_await wait_until(&pair.right.calls, 1);
    co_await pair.b->forget_peer(NodeId{1}, "node 1 was removed");
    co_await wait_until(&pair.right.cancelled, 1);
    co_await scope.join();
    co_await pair.close();
    co_return 0;
  });
}

TEST(CallLife, NeedsNoAnswerWhenItIsOneWay) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await pair.a->send(to(2, fail), bytes("x")));
    EXPECT_TRUE(co_await pair.a->send(to(1, echo), bytes("myself")));
    EXPECT_EQ((co_await pair.a->send(to(9, echo), Bytes())).code(), Errc::node_gone);
    EXPECT_EQ((co_await pair.a->send(to(2, echo), Bytes(Messenger::kMaxPayloadBytes + 1))).code(), Errc::too_large);
    co_await wait_until(&pair.right.calls, 100);
    EXPECT_TRUE(pair.right.last.one_way);
    co_await wait_until(&pair.left.calls, 1);
    co_await pair.close();
    co_return 0;
  });
}

TEST(CallLife, TellsARefusalFromAnAnswerWithTheSameCode) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto refused = co_await pair.a->call(to(2, refuse), Bytes());
    EXPECT_TRUE(refused.code() == Errc::overloaded && refused.error().is_refusal());
    EXPECT_EQ(refused.error().text(), "no room");
    const auto failed = co_await pair.a->call(to(2, fail_overloaded), Bytes());
    EXPECT_TRUE(failed.code() == Errc::overloaded && !failed.error().is_refusal());
    co_await pair.close();
    co_return 0;
  });
}

TEST(CallLife, CarriesItsTrace) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    CallTarget target = to(2, echo);
    target.trace = {1, 2, 3, true};
    EXPECT_EQ((co_await pair.a->call(target, bytes("hello"))).value(), bytes("hello"));
    EXPECT_EQ(pair.right.last.trace, target.trace);
    EXPECT_EQ((co_await pair.a->call(target, Bytes(Messenger::kMaxPayloadBytes))).value().size(), Messenger::kMaxPayloadBytes);
    EXPECT_TRUE(co_await pair.a->call(to(2, echo), bytes("hello")));
    EXPECT_FALSE(pair.right.last.trace.present());
    co_await pair.close();
    co_return 0;
  });
}

task<void> note_end(Messenger* messenger, CallTarget target, std::size_t size, std::string letter, std::string* order) {
  EXPECT_TRUE(co_await messenger->call(target, Bytes(size)));
  *order += letter;
}

TEST(CallLife, OfTheRuntimeGoesBeforeBulkThatIsQueued) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_TRUE(co_await pair.a->call(to(2, echo), Bytes()));
    std::string order;
    CallTarget control = to(2, echo);
    control.object = ObjectId{2};
    // Twice the room there is for output, each frame larger than what the network takes at once; in one event, so that none
    // goes out before all are there.
    std::vector<task<void>> calls;
    for (int i = 0; i < 6; ++i) calls.push_back(note_end(pair.a.get(), to(2, echo), Messenger::kMaxPayloadBytes, "b", &order));
    calls.push_back(note_end(pair.a.get(), control, 8, "c", &order));
    co_await when_all(std::move(calls));
    EXPECT_LE(order.find('c'), 1u) << order;
    EXPECT_EQ(order.size(), 7u);
    co_await pair.close();
    co_return 0;
  });
}

}  // namespace
