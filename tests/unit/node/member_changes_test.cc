// Differences between lists of members. How they reach the members: the simulator.
#include "src/node/member_changes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "tests/unit/node/short_memory.h"

namespace ebb::detail {
namespace {

constexpr NodeId kSelf{7};

Member member(std::uint32_t id, bool leaving = false) {
  return {NodeId{id}, 2, {0x7f00'0001, static_cast<std::uint16_t>(id)}, leaving};
}

/// The front end's list, and all that it has ever been.
struct FrontEnd {
  MemberTable members;
  MemberChanges changes;
  std::vector<MemberTable> lists;  // by version

  FrontEnd() {
    members.put(member(0));
    lists.push_back(members);
  }
  std::uint64_t version() const { return lists.size() - 1; }
  void put(const Member& changed) {
    members.put(changed);
    note(changed.id);
  }
  void erase(NodeId id) {
    members.erase(id);
    note(id);
  }
  void note(NodeId id) {
    lists.push_back(members);
    changes.note(id, version());
  }
  std::optional<MemberDifference> since(std::uint64_t old) const { return changes.between(old, version(), members); }
};

/// What a node that is `kSelf` and knows `list` knows after `difference`.
MemberTable changed(MemberTable list, std::uint64_t version, const MemberDifference& difference) {
  EXPECT_TRUE(check(difference));
  const Result<Changes> changes = changes_by(difference, list, version, kSelf);
  EXPECT_TRUE(changes) << changes.error().text();
  if (!changes) return list;
  for (const NodeId id : changes->gone) list.erase(id);
  for (const Member& each : changes->come) list.put(each);
  list.find(kSelf)->leaving = changes->own_leaves;
  return list;
}

MemberDifference difference(std::vector<Member> present, std::vector<NodeId> gone) {
  return {3, 5, 4, std::move(present), std::move(gone)};
}

TEST(MemberChanges, OfOlderListsAreForgottenWithoutMemory) {
  FrontEnd front_end;
  int forgotten = 0;
  for (std::uint32_t id = 1; id <= 100; ++id) {
    front_end.members.put(member(id));
    front_end.lists.push_back(front_end.members);
    ebb::testing::until_no_memory = 1;
    front_end.changes.note(NodeId{id}, front_end.version());
    if (std::exchange(ebb::testing::until_no_memory, 0) != 0) continue;
    ++forgotten;
    for (std::uint64_t known = 1; known < front_end.version(); ++known) EXPECT_FALSE(front_end.since(known)) << known;
    const std::uint64_t known = front_end.version();
    front_end.put(member(++id));
    const auto since = front_end.since(known);
    EXPECT_TRUE(since && since->present == std::vector{member(id)});
  }
  EXPECT_GT(forgotten, 0);
}

TEST(MemberChanges, MakeTheNewestListOfEveryOneThatIsNotTooOld) {
  FrontEnd front_end;
  std::mt19937 random(1);
  front_end.put(member(to_number(kSelf)));
  for (int step = 0; step < 60; ++step) {
    // Few, so that most of them come and go again; the front end and the node itself stay.
    const std::uint32_t id = 8 + random() % 6;
    if (!front_end.members.contains(NodeId{id})) {
      front_end.put(member(id));
    } else if (random() % 2 == 0) {
      front_end.erase(NodeId{id});
    } else {
      front_end.put(member(random() % 3 == 0 ? to_number(kSelf) : id, true));
    }
    for (std::uint64_t since = 1; since < front_end.version(); ++since) {
      const auto difference = front_end.since(since);
      ASSERT_TRUE(difference);
      for (std::uint64_t known = since; known < front_end.version(); ++known) {
        ASSERT_EQ(changed(front_end.lists[known], known, *difference).all(), front_end.members.all()) << since << ' ' << known;
      }
    }
  }
}

TEST(MemberChanges, NameEachNodeOnceAsItIs) {
  FrontEnd front_end;
  for (std::uint32_t id = 1; id <= 4; ++id) front_end.put(member(id));
  front_end.erase(NodeId{2});
  front_end.put(member(5));
  front_end.put(member(3, true));
  front_end.erase(NodeId{5});
  const auto difference = front_end.since(4);
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->since, 4u);
  EXPECT_EQ(difference->version, 8u);
  EXPECT_EQ(difference->size, 4u);
  EXPECT_EQ(difference->present, std::vector{member(3, true)});
  EXPECT_EQ(difference->gone, (std::vector{NodeId{2}, NodeId{5}}));
}

TEST(MemberChanges, LeadFromNoListThatIsForgottenAndFromNoneThatIsNoOlder) {
  FrontEnd front_end;
  front_end.put(member(1));
  EXPECT_FALSE(front_end.since(0));  // a node with that has taken no list yet, and need not know the front end
  EXPECT_FALSE(front_end.since(1));
  EXPECT_FALSE(front_end.since(2));
  for (std::size_t at = 0; at < MemberChanges::kMostChanges; ++at) front_end.put(member(2, at % 2 == 0));
  EXPECT_TRUE(front_end.since(1));
  front_end.put(member(3));
  EXPECT_FALSE(front_end.since(1));
  EXPECT_TRUE(front_end.since(2));
}

TEST(MemberDifference, IsRefusedByWhoeverKnowsAnOlderList) {
  MemberTable known;
  known.put(member(0));
  known.put(member(to_number(kSelf)));
  const MemberDifference news{3, 5, 3, {member(9)}, {}};
  EXPECT_EQ(changes_by(news, known, 2, kSelf).code(), Errc::not_found);
  EXPECT_TRUE(changes_by(news, known, 3, kSelf));
  EXPECT_TRUE(changes_by(news, known, 4, kSelf));
}

TEST(MemberDifference, IsRefusedByWhoeverKnowsAnotherListOfThatVersion) {
  MemberTable known;
  known.put(member(0));
  known.put(member(1));
  known.put(member(to_number(kSelf)));
  EXPECT_EQ(changes_by({3, 5, 3, {member(9)}, {}}, known, 3, kSelf).code(), Errc::not_found);
  EXPECT_TRUE(changes_by({3, 5, 3, {member(9)}, {NodeId{1}}}, known, 3, kSelf));
}

TEST(MemberDifference, DoesNotTakeANodeOffItsOwnList) {
  MemberTable known;
  known.put(member(0));
  known.put(member(to_number(kSelf)));
  // The front end sends whom it has on no list the whole one, if anything.
  EXPECT_EQ(changes_by({3, 5, 1, {}, {kSelf}}, known, 3, kSelf).code(), Errc::not_found);
  const auto changes = changes_by({3, 5, 2, {}, {kSelf}}, known, 3, kSelf);
  ASSERT_TRUE(changes);
  EXPECT_TRUE(changes->gone.empty());
}

TEST(MemberDifference, TellsANodeThatItIsToLeaveAndLeavesTheRestToIt) {
  MemberTable known;
  known.put(member(0));
  known.put(member(to_number(kSelf)));
  Member own = member(to_number(kSelf), true);
  own.endpoint.port = 1;
  const auto changes = changes_by({3, 5, 2, {own}, {}}, known, 3, kSelf);
  ASSERT_TRUE(changes);
  EXPECT_TRUE(changes->own_is_listed);
  EXPECT_TRUE(changes->own_leaves);
  EXPECT_TRUE(changes->come.empty());
  known.find(kSelf)->leaving = true;
  EXPECT_TRUE(changes_by({3, 5, 3, {member(9)}, {}}, known, 3, kSelf)->own_leaves);
}

TEST(MemberDifference, IsLookedAtBeforeItIsBelieved) {
  EXPECT_TRUE(check(difference({member(1), member(3)}, {NodeId{2}, NodeId{4}})));
  EXPECT_EQ(check(difference({member(3), member(1)}, {})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({member(1), member(1)}, {})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({}, {NodeId{4}, NodeId{2}})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({}, {NodeId{4}, NodeId{4}})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({member(1), member(2)}, {NodeId{2}})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({}, {kFrontEndNode})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({}, {kNoNode})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({member(to_number(kNoNode))}, {})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({{NodeId{1}, 0, {}}}, {})).code(), Errc::malformed);
  EXPECT_EQ(check(difference({{NodeId{1}, kMaxCores + 1, {}}}, {})).code(), Errc::malformed);
  EXPECT_EQ(check(MemberDifference{0, 5, 4, {}, {}}).code(), Errc::malformed);
  EXPECT_EQ(check(MemberDifference{5, 5, 4, {}, {}}).code(), Errc::malformed);
  EXPECT_EQ(check(MemberDifference{3, 5, kMaxNodes + 1, {}, {}}).code(), Errc::too_large);
  std::vector<NodeId> many;
  for (std::uint32_t id = 1; id <= kMaxNodes + 1; ++id) many.push_back(NodeId{id});
  EXPECT_EQ(check(difference({}, std::move(many))).code(), Errc::too_large);
}

}  // namespace
}  // namespace ebb::detail
