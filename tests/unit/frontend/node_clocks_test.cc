// Clocks of nodes that are off, against answers that are quick, slow, one-sided, or do not come.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>

#include "ebb/async/runtime.h"
#include "frontend/observe/node_clocks.h"

namespace ebb::frontend::observe {
namespace {

constexpr std::int64_t kMicrosecond = 1'000;
constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr NodeId kNode{1};

/// A node whose clock is `skew` behind and goes wrong by `drift_per_million`; time passes only by asking it, or by pass().
struct FakeNode {
  struct Way {
    std::int64_t there;
    std::int64_t back;
  };
  static constexpr Way kQuick{30 * kMicrosecond, 30 * kMicrosecond};

  std::int64_t skew = 5 * kSecond;
  std::int64_t drift_per_million = 0;
  std::int64_t now = 100 * kSecond;
  std::deque<Way> ways;  // of the next requests; then all are quick
  int asked = 0;
  bool answers = true;

  std::int64_t clock() const { return now - skew + (now / 1'000'000) * drift_per_million; }
  void pass(std::int64_t time) { now += time; }

  task<Result<std::int64_t>> ask(NodeId) {
    ++asked;
    Way way = kQuick;
    if (!ways.empty()) {
      way = ways.front();
      ways.pop_front();
    }
    now += way.there;
    const std::int64_t told = clock();
    now += way.back;
    if (!answers) co_return Error(Errc::deadline_exceeded, "");
    co_return told;
  }
  NodeClocks clocks() {
    return {[this](NodeId node, platform::Instant) { return ask(node); }, [this] { return now; }};
  }
  /// By how much a time of this moment, corrected, differs from ours.
  std::int64_t error(const NodeClocks& clocks) const { return std::abs(clock() + clocks.offset_ns(kNode) - now); }
};

task<int> look_as_main(NodeClocks* clocks, NodeId node) {
  const bool answered = co_await clocks->look(node, platform::Instant::max());
  co_return answered ? 1 : 0;
}

bool look(NodeClocks& clocks, NodeId node = kNode) {
  return run_cores(1, [&clocks, node] { return look_as_main(&clocks, node); }) == 1;
}

TEST(NodeClocks, BelieveTheQuickestOfTheFirstAnswers) {
  FakeNode node;
  node.ways = {{20 * kMillisecond, 0}, {0, 3 * kMillisecond}, {1 * kMillisecond, 0}, {40 * kMicrosecond, 20 * kMicrosecond},
               {0, 9 * kMillisecond}};
  NodeClocks clocks = node.clocks();
  EXPECT_TRUE(look(clocks));
  EXPECT_EQ(node.asked, NodeClocks::kFirstRequests);
  EXPECT_LE(node.error(clocks), 10 * kMicrosecond);
}

TEST(NodeClocks, AreNotSpoiltByALaterSlowAnswer) {
  FakeNode node;
  NodeClocks clocks = node.clocks();
  look(clocks);
  node.pass(kSecond);
  node.ways = {{80 * kMillisecond, 0}, {0, 50 * kMillisecond}};
  EXPECT_TRUE(look(clocks));
  EXPECT_EQ(node.asked, NodeClocks::kFirstRequests + NodeClocks::kLaterRequests);
  EXPECT_LE(node.error(clocks), 1 * kMicrosecond);
}

TEST(NodeClocks, FollowAClockThatDrifts) {
  FakeNode node;
  node.drift_per_million = 50;
  NodeClocks clocks = node.clocks();
  look(clocks);
  // In an hour it has gone 180 ms from where the quick answers saw it: a slow answer is worth more than these.
  node.pass(3600 * kSecond);
  node.ways = {{10 * kMillisecond, 0}, {10 * kMillisecond, 0}};
  EXPECT_TRUE(look(clocks));
  EXPECT_LE(node.error(clocks), 6 * kMillisecond);
  // Where each look is slow, quick ones of long ago are forgotten.
  for (int looks = 0; looks < 10; ++looks) {
    node.pass(60 * kSecond);
    node.ways = {{2 * kMillisecond, 0}, {2 * kMillisecond, 0}};
    EXPECT_TRUE(look(clocks));
    EXPECT_LE(node.error(clocks), 2 * kMillisecond);
  }
}

TEST(NodeClocks, AreContentWithLittleWhereAnswersAreSlow) {
  FakeNode node;
  node.ways = {{300 * kMillisecond, 300 * kMillisecond}};
  NodeClocks clocks = node.clocks();
  EXPECT_TRUE(look(clocks));
  EXPECT_EQ(node.asked, 1);
  EXPECT_EQ(node.error(clocks), 0);
}

TEST(NodeClocks, AreOffByNoMoreThanTheySay) {
  ClockEstimate estimate;
  EXPECT_FALSE(estimate.known());
  EXPECT_EQ(estimate.offset(7), 0);
  estimate.add(1'000, 3'000, 500);  // the other is 500 to 2,500 behind
  EXPECT_EQ(estimate.offset(3'000), 1'500);
  EXPECT_EQ(estimate.uncertainty(3'000), 1'000);
  EXPECT_EQ(estimate.uncertainty(3'000 + kSecond), 1'000 + 100 * kMicrosecond);
}

TEST(NodeClocks, HaveNothingOfANodeThatDoesNotAnswerOrTellsNonsense) {
  FakeNode node;
  NodeClocks clocks = node.clocks();
  node.answers = false;
  EXPECT_FALSE(look(clocks));
  EXPECT_EQ(node.asked, 1) << "each costs its limit";
  EXPECT_EQ(clocks.offset_ns(kNode), 0);
  node.answers = true;
  for (const std::int64_t nonsense : {-NodeClocks::kMostNs, NodeClocks::kMostNs + kSecond}) {
    node.skew = node.now - nonsense;
    EXPECT_FALSE(look(clocks));
    EXPECT_EQ(clocks.offset_ns(kNode), 0);
  }
  node.skew = 5 * kSecond;
  node.asked = 0;
  EXPECT_TRUE(look(clocks));
  EXPECT_EQ(node.asked, NodeClocks::kFirstRequests) << "still a new node";
}

TEST(NodeClocks, AreForgottenWithTheirNodes) {
  FakeNode node;
  NodeClocks clocks = node.clocks();
  look(clocks, NodeId{1});
  look(clocks, NodeId{2});
  clocks.keep({NodeId{2}});
  EXPECT_EQ(clocks.offset_ns(NodeId{1}), 0);
  EXPECT_EQ(clocks.offset_ns(NodeId{2}), 5 * kSecond);
}

}  // namespace
}  // namespace ebb::frontend::observe
