#include "frontend/cluster/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/cluster/console_log.h"

namespace ebb::frontend::cluster {
namespace {

using std::chrono::milliseconds;

constexpr platform::Instant at(int ms) { return platform::Instant(milliseconds(ms)); }
Member member(std::uint32_t id) { return {NodeId{id}, 2, {0x7f000001, 7000}}; }

TEST(Membership, TakesInANodeThatWasAskedForAndCountsItsTimes) {
  Membership membership;
  const auto ids = membership.reserve(1, "process", at(0)).value();
  ASSERT_EQ(ids, std::vector{NodeId{1}});
  membership.launched(ids[0], at(20));
  ASSERT_TRUE(membership.admit(member(1)));
  const auto change = membership.join(member(1), at(50));
  EXPECT_TRUE(change.joined);
  EXPECT_EQ(change.epoch, 1u);
  EXPECT_EQ(change.node.endpoint, "127.0.0.1:7000");
  EXPECT_EQ(membership.members().at(0).launch, milliseconds(20));
  EXPECT_EQ(membership.members().at(0).join, milliseconds(30));
}

TEST(Membership, TakesInANodeThatJoinsBeforeItsDriverReturns) {
  Membership membership;
  ASSERT_TRUE(membership.reserve(1, "libvirt", at(0)));
  ASSERT_TRUE(membership.admit(member(1)));
  static_cast<void>(membership.join(member(1), at(50)));
  membership.launched(NodeId{1}, at(60));
  EXPECT_EQ(membership.stage(NodeId{1}), Stage::joined);
  EXPECT_EQ(membership.members().at(0).launch, milliseconds(60));
  EXPECT_EQ(membership.members().at(0).join, milliseconds(0));
}

TEST(Membership, RefusesANodeThatNobodyAskedFor) {
  Membership membership;
  EXPECT_EQ(membership.admit(member(1)).code(), Errc::permission_denied);
}

TEST(Membership, RefusesTheSameNodeTwice) {
  Membership membership;
  ASSERT_TRUE(membership.reserve(1, "process", at(0)));
  ASSERT_TRUE(membership.admit(member(1)));
  EXPECT_EQ(membership.admit(member(1)).code(), Errc::permission_denied);
  static_cast<void>(membership.join(member(1), at(1)));
  EXPECT_EQ(membership.admit(member(1)).code(), Errc::permission_denied);
}

TEST(Membership, LetsANodeTryAgainWhoseJoinWasNotFinished) {
  Membership membership;
  ASSERT_TRUE(membership.reserve(1, "process", at(0)));
  ASSERT_TRUE(membership.admit(member(1)));
  membership.revoke(NodeId{1});
  EXPECT_TRUE(membership.admit(member(1)));
}

TEST(Membership, NeverGivesAnIdTwice) {
  Membership membership;
  ASSERT_TRUE(membership.reserve(2, "process", at(0)));
  EXPECT_FALSE(membership.end(NodeId{2}, "failed"));
  EXPECT_EQ(membership.reserve(1, "process", at(0)).value(), std::vector{NodeId{3}});
  EXPECT_EQ(membership.admit(member(2)).code(), Errc::permission_denied);
}

TEST(Membership, LetsAMemberLeaveOnceAndAdvancesTheEpochAtItsEnd) {
  Membership membership;
  ASSERT_TRUE(membership.reserve(1, "process", at(0)));
  EXPECT_FALSE(membership.leave(NodeId{1}));
  ASSERT_TRUE(membership.admit(member(1)));
  static_cast<void>(membership.join(member(1), at(1)));
  EXPECT_TRUE(membership.leave(NodeId{1}));
  EXPECT_FALSE(membership.leave(NodeId{1}));
  EXPECT_TRUE(membership.members().empty());
  const auto change = membership.end(NodeId{1}, "removed");
  ASSERT_TRUE(change);
  EXPECT_FALSE(change->joined);
  EXPECT_EQ(change->reason, "removed");
  EXPECT_EQ(change->epoch, 2u);
  EXPECT_FALSE(membership.end(NodeId{1}, "removed"));
}

TEST(Membership, BoundsTheCluster) {
  Membership membership;
  EXPECT_EQ(membership.reserve(kMaxNodes, "process", at(0)).code(), Errc::resource_exhausted);
  ASSERT_TRUE(membership.reserve(kMaxNodes - 1, "process", at(0)));
  EXPECT_EQ(membership.reserve(1, "process", at(0)).code(), Errc::resource_exhausted);
}

TEST(ConsoleLog, ForwardsLinesAndKeepsTheLastOnes) {
  std::vector<std::string> printed;
  ConsoleLog log([&](std::string_view line) { printed.emplace_back(line); });
  EXPECT_EQ(log.tail(NodeId{3}), "");
  for (int i = 0; i < 10; ++i) log.add(NodeId{3}, "line " + std::to_string(i));
  EXPECT_EQ(printed.at(0), "[node 3] line 0");
  EXPECT_EQ(log.tail(NodeId{3}),
            "; its last lines: line 2 | line 3 | line 4 | line 5 | line 6 | line 7 | line 8 | line 9");
}

TEST(ConsoleLog, RemembersWhyANodeFaulted) {
  ConsoleLog log({});
  log.add(NodeId{3}, "ebb-panic: core 1: page fault");
  for (int i = 0; i < 10; ++i) log.add(NodeId{3}, "register dump");
  EXPECT_EQ(log.panic(NodeId{3}), "ebb-panic: core 1: page fault");
  log.forget(NodeId{3});
  EXPECT_EQ(log.panic(NodeId{3}), "");
}

}  // namespace
}  // namespace ebb::frontend::cluster
