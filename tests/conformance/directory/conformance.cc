#include "tests/conformance/directory/conformance.h"

#include <thread>
#include <vector>

namespace ebb::conformance {
namespace {

std::unique_ptr<Directory> make(std::uint32_t limit = kMaxObjects, IdReuse reuse = {}) {
  return DirectoryConformance::GetParam()(limit, reuse);
}

platform::Instant pretended{};

TEST_P(DirectoryConformance, FindsWhatWasEntered) {
  const auto directory = make();
  const NewObject counter{"demo.Counter/1", 0xfedc'ba98'7654'3210, "single_home", NodeId{7}, CoreIndex{3}, "the counter"};
  const auto made = now(directory->create(counter)).value();
  EXPECT_EQ(made.id, kFirstDynamicObject);
  const auto found = now(directory->lookup(made.id)).value();
  EXPECT_EQ(found.interface_name, "demo.Counter/1");
  EXPECT_EQ(found.interface_id, 0xfedc'ba98'7654'3210);
  EXPECT_EQ(found.policy, "single_home");
  EXPECT_EQ(found.name, "the counter");
  EXPECT_EQ(home_of(found), (Home{NodeId{7}, CoreIndex{3}, 1}));
}

TEST_P(DirectoryConformance, DoesNotFindWhatWasRemovedOrNeverEntered) {
  const auto directory = make();
  const auto made = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  ASSERT_TRUE(now(directory->remove(made.id)));
  EXPECT_EQ(now(directory->lookup(made.id)).code(), Errc::no_such_object);
  EXPECT_EQ(now(directory->lookup(ObjectId(9999))).code(), Errc::no_such_object);
  EXPECT_EQ(now(directory->remove(ObjectId(9999))).code(), Errc::no_such_object);
}

TEST_P(DirectoryConformance, RemovesAnObjectOnceMoreUntilItsIdIsRetired) {
  const auto directory = make();
  const auto made = now(directory->create(wanted("a", 1, NodeId{0}, "name"))).value();
  ASSERT_TRUE(now(directory->remove(made.id)));
  now(directory->create(wanted("b", 2, NodeId{0}, "name"))).value();
  EXPECT_TRUE(now(directory->remove(made.id))) << "its end could not be tried again";
  EXPECT_EQ(now(directory->find("name")).value().interface_name, "b");
  ASSERT_TRUE(now(directory->retire(made.id, 1)));
  EXPECT_EQ(now(directory->remove(made.id)).code(), Errc::no_such_object);
}

TEST_P(DirectoryConformance, FindsObjectsByName) {
  const auto directory = make();
  now(directory->create(wanted("a", 1, NodeId{0}))).value();
  const auto made = now(directory->create(wanted("a", 2, NodeId{0}, "second"))).value();
  const auto found = now(directory->find("second")).value();
  EXPECT_EQ(found.id, made.id);
  EXPECT_EQ(found.interface_id, 2u);
  EXPECT_EQ(now(directory->find("third")).code(), Errc::no_such_object);
  EXPECT_EQ(now(directory->find("")).code(), Errc::no_such_object) << "found an object without a name";
}

TEST_P(DirectoryConformance, GivesANameToOneObjectAtATime) {
  const auto directory = make();
  const auto first = now(directory->create(wanted("a", 1, NodeId{0}, "name"))).value();
  EXPECT_EQ(now(directory->create(wanted("b", 2, NodeId{0}, "name"))).code(), Errc::already_exists);
  EXPECT_EQ(now(directory->find("name")).value().id, first.id);
  ASSERT_TRUE(now(directory->remove(first.id)));
  EXPECT_EQ(now(directory->find("name")).code(), Errc::no_such_object);
  const auto second = now(directory->create(wanted("b", 2, NodeId{0}, "name"))).value();
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(now(directory->find("name")).value().id, second.id);
}

TEST_P(DirectoryConformance, GivesManyObjectsNoName) {
  const auto directory = make();
  const auto first = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  const auto second = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  ASSERT_TRUE(now(directory->remove(first.id)));
  EXPECT_TRUE(now(directory->lookup(second.id)).value().name.empty());
}

TEST_P(DirectoryConformance, BoundsNames) {
  const auto directory = make();
  const std::string longest(Directory::kMaxNameBytes, 'a');
  EXPECT_TRUE(now(directory->create(wanted(longest, 1, NodeId{0}, longest))));
  EXPECT_EQ(now(directory->create(wanted(longest + "a", 1, NodeId{0}))).code(), Errc::invalid_argument);
  EXPECT_EQ(now(directory->create(wanted("a", 1, NodeId{0}, longest + "a"))).code(), Errc::invalid_argument);
}

TEST_P(DirectoryConformance, KeepsNamesThatLookLikeStatements) {
  const auto directory = make();
  const std::string name("'); DROP TABLE objects; --\0x", 28);
  const auto made = now(directory->create(wanted(name, 1, NodeId{0}, name))).value();
  EXPECT_EQ(now(directory->lookup(made.id)).value().interface_name, name);
  EXPECT_EQ(now(directory->find(name)).value().name, name);
}

TEST_P(DirectoryConformance, DoesNotGiveTheIdOfARemovedObjectToTheNext) {
  const auto directory = make();
  const auto first = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  ASSERT_TRUE(now(directory->remove(first.id)));
  EXPECT_GT(now(directory->create(wanted("a", 1, NodeId{0}))).value().id, first.id);
}

TEST_P(DirectoryConformance, GivesIdsOutAgainOldestFirstAfterTheirGrace) {
  const IdReuse reuse{std::chrono::seconds(60), [] { return pretended; }};
  const auto directory = make(kFirstDynamicObject.index() + 3, reuse);
  std::vector<ObjectId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(now(directory->create(wanted("a", 1, NodeId{0}))).value().id);
  for (const int i : {1, 0, 2}) ASSERT_TRUE(now(directory->remove(ids[i])));
  pretended += std::chrono::seconds(1000);
  EXPECT_EQ(now(directory->create(wanted("a", 1, NodeId{0}))).code(), Errc::resource_exhausted) << "came back unconfirmed";
  ASSERT_TRUE(now(directory->retire(ids[1], 1)));
  EXPECT_EQ(now(directory->retire(ids[1], 1)).code(), Errc::invalid_argument);
  pretended += std::chrono::seconds(59);
  ASSERT_TRUE(now(directory->retire(ids[0], 1)));
  EXPECT_EQ(now(directory->create(wanted("a", 1, NodeId{0}))).code(), Errc::resource_exhausted) << "came back too early";
  EXPECT_EQ(now(directory->lookup(ids[1])).code(), Errc::no_such_object);
  pretended += std::chrono::seconds(60);
  EXPECT_EQ(now(directory->create(wanted("b", 2, NodeId{0}))).value().id, ids[1]);
  EXPECT_EQ(now(directory->create(wanted("c", 3, NodeId{0}))).value().id, ids[0]);
  EXPECT_EQ(now(directory->create(wanted("d", 4, NodeId{0}))).code(), Errc::resource_exhausted);
  EXPECT_EQ(now(directory->lookup(ids[1])).value().interface_name, "b");
}

TEST_P(DirectoryConformance, NumbersCreationsInTheirOrderWhateverIdsTheyGet) {
  const IdReuse reuse{std::chrono::seconds(60), [] { return pretended; }};
  const auto directory = make(kFirstDynamicObject.index() + 3, reuse);
  const auto first = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  const auto second = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  const auto third = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  EXPECT_LT(first.created, second.created);
  EXPECT_LT(second.created, third.created);
  ASSERT_TRUE(now(directory->remove(first.id)));
  ASSERT_TRUE(now(directory->retire(first.id, 1)));
  pretended += std::chrono::seconds(61);
  const auto fourth = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  EXPECT_EQ(fourth.id, first.id);
  EXPECT_LT(third.created, fourth.created);
  EXPECT_EQ(now(directory->lookup(fourth.id)).value().created, fourth.created);
  EXPECT_EQ(now(directory->list(third.id, 10)).value().size(), 0U);
  EXPECT_EQ(now(directory->list(ObjectId{}, 10)).value().front().created, fourth.created);
}

TEST_P(DirectoryConformance, DoesNotRetireTheIdOfALivingObject) {
  const auto directory = make();
  const auto made = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  EXPECT_EQ(now(directory->retire(made.id, 1)).code(), Errc::invalid_argument);
  EXPECT_TRUE(now(directory->lookup(made.id)));
}

TEST_P(DirectoryConformance, EndsWhenAllIdsAreGivenOut) {
  const auto directory = make(kFirstDynamicObject.index() + 2);
  EXPECT_TRUE(now(directory->create(wanted("a", 1, NodeId{0}))));
  const auto last = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  EXPECT_EQ(now(directory->create(wanted("a", 1, NodeId{0}))).code(), Errc::resource_exhausted);
  ASSERT_TRUE(now(directory->remove(last.id)));
  EXPECT_EQ(now(directory->create(wanted("a", 1, NodeId{0}))).code(), Errc::resource_exhausted) << "an id came back";
}

TEST_P(DirectoryConformance, ListsInTheOrderOfIdsAndWithinTheLimit) {
  const auto directory = make();
  for (std::uint32_t i = 0; i < Directory::kMaxListed + 5; ++i) ASSERT_TRUE(now(directory->create(wanted("a", i, NodeId{0}))));
  EXPECT_EQ(now(directory->list(ObjectId(0), 1'000'000)).value().size(), Directory::kMaxListed);
  const auto page = now(directory->list(ObjectId(1030), 2)).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].id, ObjectId(1031));
  EXPECT_EQ(page[1].interface_id, 8u);
}

TEST_P(DirectoryConformance, GivesAnObjectAnotherHomeOnlyInTheEpochThatTheCallerKnows) {
  const auto directory = make();
  const auto first = now(directory->create(wanted("a", 1, NodeId{1}, "moves"))).value();
  const auto second = now(directory->create(wanted("a", 1, NodeId{1}))).value();
  const auto moved = now(directory->re_home(first.id, 1, NodeId{2}, CoreIndex{3})).value();
  EXPECT_EQ(home_of(moved), (Home{NodeId{2}, CoreIndex{3}, 2}));
  EXPECT_EQ(home_of(now(directory->find("moves")).value()), home_of(moved));
  EXPECT_EQ(now(directory->re_home(first.id, 1, NodeId{4}, CoreIndex{0})).code(), Errc::moved);
  EXPECT_EQ(now(directory->re_home(ObjectId{9999}, 1, NodeId{4}, CoreIndex{0})).code(), Errc::no_such_object);
  EXPECT_EQ(now(directory->re_home(first.id, Home::kMaxEpoch, NodeId{4}, CoreIndex{0})).code(), Errc::resource_exhausted);
  const auto left = now(directory->list_at(NodeId{1}, ObjectId{}, 10)).value();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].id, second.id);
}

TEST_P(DirectoryConformance, TellsWhichImplementationAnObjectWasSwappedTo) {
  const auto directory = make();
  const auto object = now(directory->create(wanted("a", 1, NodeId{1}))).value();
  EXPECT_EQ(object.implementation, 0u);
  EXPECT_EQ(object.swaps, 0u);
  EXPECT_EQ(now(directory->implement(object.id, 0xfedcba9876543210)).value(), 1u);
  EXPECT_EQ(now(directory->implement(object.id, 7)).value(), 2u);
  EXPECT_EQ(now(directory->implement(object.id, 0xfedcba9876543210)).value(), 3u) << "it does not say which was later";
  const auto found = now(directory->lookup(object.id)).value();
  EXPECT_EQ(found.implementation, 0xfedcba9876543210);
  EXPECT_EQ(found.swaps, 3u);
  EXPECT_EQ(found.created, object.created);
  EXPECT_EQ(now(directory->implement(ObjectId{9999}, 7)).code(), Errc::no_such_object);
}

std::vector<LeasedObject> made_under(std::vector<ObjectId> ids) {
  std::vector<LeasedObject> objects;
  for (const ObjectId id : ids) objects.push_back({id, wanted("leased", id.index(), NodeId{7})});
  return objects;
}

TEST_P(DirectoryConformance, LeasesIdsThatNobodyElseGets) {
  const auto directory = make();
  const auto lease = now(directory->lease(NodeId{7}, 100)).value();
  const auto other = now(directory->lease(NodeId{8}, 1'000'000)).value();
  EXPECT_EQ(lease.count, 100u);
  EXPECT_EQ(other.count, Directory::kIdLease);
  EXPECT_GE(other.first.index(), lease.first.index() + lease.count);
  const auto made = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  EXPECT_GE(made.id.index(), other.first.index() + other.count);
  EXPECT_EQ(now(directory->lookup(lease.first)).code(), Errc::no_such_object);
  EXPECT_EQ(directory->leaseholder(lease.first), NodeId{7});
  EXPECT_EQ(directory->leaseholder(ObjectId(other.first.index() + other.count - 1)), NodeId{8});
  EXPECT_EQ(directory->leaseholder(made.id), kNoNode);
  EXPECT_EQ(directory->leaseholder(kFirstApplicationObject), kNoNode);
}

TEST_P(DirectoryConformance, EntersWhatTheLeaseholderMadeOnce) {
  const auto directory = make();
  const auto lease = now(directory->lease(NodeId{7}, 10)).value();
  const ObjectId second(lease.first.index() + 1);
  ASSERT_TRUE(now(directory->enter(NodeId{8}, made_under({lease.first}))));
  EXPECT_EQ(now(directory->lookup(lease.first)).code(), Errc::no_such_object) << "entered by who holds no lease";
  ASSERT_TRUE(now(directory->enter(NodeId{7}, made_under({second, lease.first}))));
  const auto found = now(directory->lookup(second)).value();
  EXPECT_EQ(found.interface_name, "leased");
  EXPECT_EQ(found.interface_id, second.index());
  EXPECT_EQ(home_of(found), (Home{NodeId{7}, CoreIndex{0}, 1}));
  EXPECT_LT(found.created, now(directory->lookup(lease.first)).value().created);
  EXPECT_EQ(directory->leaseholder(second), kNoNode);
  EXPECT_TRUE(now(directory->enter(NodeId{7}, made_under({lease.first, second})))) << "an attempt is repeated";
  EXPECT_EQ(now(directory->lookup(second)).value().created, found.created);
  ASSERT_TRUE(now(directory->remove(second)));
  ASSERT_TRUE(now(directory->enter(NodeId{7}, made_under({second}))));
  EXPECT_EQ(now(directory->lookup(second)).code(), Errc::no_such_object) << "came back from the dead";
  EXPECT_EQ(now(directory->list(ObjectId{}, 10)).value().size(), 1u);
}

TEST_P(DirectoryConformance, RefusesToEnterWhatHasANameOrIsTooMuch) {
  const auto directory = make();
  const auto lease = now(directory->lease(NodeId{7}, 2)).value();
  auto objects = made_under({lease.first, ObjectId(lease.first.index() + 1)});
  objects.back().object.name = "name";
  EXPECT_EQ(now(directory->enter(NodeId{7}, objects)).code(), Errc::invalid_argument);
  EXPECT_EQ(now(directory->lookup(lease.first)).code(), Errc::no_such_object) << "a part of what was refused";
  objects.back().object.name.clear();
  objects.back().object.policy = std::string(Directory::kMaxNameBytes + 1, 'a');
  EXPECT_EQ(now(directory->enter(NodeId{7}, objects)).code(), Errc::invalid_argument);
  const std::vector<ObjectId> many(Directory::kMaxListed + 1, lease.first);
  EXPECT_EQ(now(directory->enter(NodeId{7}, made_under(many))).code(), Errc::invalid_argument);
}

TEST_P(DirectoryConformance, GivesIdsOfEndedLeasesOutAgainAfterTheirGrace) {
  const IdReuse reuse{std::chrono::seconds(60), [] { return pretended; }};
  const auto directory = make(kFirstDynamicObject.index() + 128, reuse);
  const auto lease = now(directory->lease(NodeId{7}, 100)).value();
  EXPECT_EQ(lease.count, 2u) << "one lease is to leave most for others";
  const ObjectId second(lease.first.index() + 1);
  ASSERT_TRUE(now(directory->enter(NodeId{7}, made_under({lease.first}))));
  std::size_t made = 0;
  while (now(directory->create(wanted("a", 1, NodeId{0})))) ++made;
  EXPECT_EQ(made, 126u);
  EXPECT_EQ(now(directory->lease(NodeId{8}, 1)).code(), Errc::resource_exhausted);
  ASSERT_TRUE(now(directory->end_leases(NodeId{8})));
  EXPECT_EQ(directory->leaseholder(second), NodeId{7});
  ASSERT_TRUE(now(directory->end_leases(NodeId{7})));
  EXPECT_EQ(directory->leaseholder(second), kNoNode);
  ASSERT_TRUE(now(directory->enter(NodeId{7}, made_under({second}))));
  EXPECT_EQ(now(directory->lookup(second)).code(), Errc::no_such_object) << "entered after its lease";
  EXPECT_TRUE(now(directory->lookup(lease.first))) << "an object that was entered outlives the lease";
  pretended += std::chrono::seconds(59);
  EXPECT_EQ(now(directory->create(wanted("b", 1, NodeId{0}))).code(), Errc::resource_exhausted) << "came back too early";
  pretended += std::chrono::seconds(2);
  EXPECT_EQ(now(directory->create(wanted("b", 1, NodeId{0}))).value().id, second);
  EXPECT_EQ(now(directory->create(wanted("b", 1, NodeId{0}))).code(), Errc::resource_exhausted);
}

TEST_P(DirectoryConformance, LeasesIdsAgainThatNameNothingAnyMore) {
  const IdReuse reuse{std::chrono::seconds(60), [] { return pretended; }};
  const auto directory = make(kFirstDynamicObject.index() + 1200, reuse);
  // A lease that its holder still makes objects under, whose first one has come and gone.
  const auto old = now(directory->lease(NodeId{6}, 100)).value();
  ASSERT_TRUE(now(directory->enter(NodeId{6}, made_under({old.first}))));
  std::vector<ObjectId> ids{old.first};
  while (const auto made = now(directory->create(wanted("a", 1, NodeId{0})))) ids.push_back(made->id);
  EXPECT_EQ(now(directory->lease(NodeId{7}, 100)).code(), Errc::resource_exhausted);
  for (const ObjectId id : ids) {
    ASSERT_TRUE(now(directory->remove(id)));
    ASSERT_TRUE(now(directory->retire(id, 1)));
  }
  EXPECT_EQ(now(directory->lease(NodeId{7}, 100)).code(), Errc::resource_exhausted) << "came back too early";
  pretended += std::chrono::seconds(61);
  const auto lease = now(directory->lease(NodeId{7}, 100)).value();
  EXPECT_GE(lease.count, 8u);
  EXPECT_GE(lease.first.index(), old.first.index() + old.count) << "an id has two leases";
  ASSERT_TRUE(now(directory->enter(NodeId{7}, made_under({lease.first}))));
  EXPECT_EQ(now(directory->lookup(lease.first)).value().interface_name, "leased");
  const auto other = now(directory->lease(NodeId{8}, 100)).value();
  EXPECT_GE(other.first.index(), lease.first.index() + lease.count);
  while (const auto made = now(directory->create(wanted("b", 2, NodeId{0})))) {
    EXPECT_GE(made->id.index() - lease.first.index(), lease.count) << "leased, and given to another";
  }
  ASSERT_TRUE(now(directory->remove(lease.first)));
  ASSERT_TRUE(now(directory->retire(lease.first, 1)));
  ASSERT_TRUE(now(directory->end_leases(NodeId{7})));
}

TEST_P(DirectoryConformance, IsUsedByThreadsAtOnce) {
  const auto directory = make();
  int named = 0;
  auto enter = [&](int* mine) {
    for (int i = 0; i < 300; ++i) {
      now(directory->create(wanted("a", 1, NodeId{0}))).value();
      if (now(directory->create(wanted("a", 1, NodeId{0}, "name " + std::to_string(i))))) ++*mine;
    }
  };
  int others = 0;
  std::thread other(enter, &others);
  enter(&named);
  other.join();
  EXPECT_EQ(named + others, 300) << "a name was given twice, or to none";
  EXPECT_EQ(now(directory->list(ObjectId(0), 1024)).value().size(), 900u);
}

}  // namespace
}  // namespace ebb::conformance
