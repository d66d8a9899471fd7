// Objects that a node makes before the directory has their records. Across nodes: tests/cluster/objects and the simulator.
#include "src/node/following_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/node/forwarding_directory.h"
#include "src/node/leasing_directory.h"
#include "src/node/remote_directory.h"
#include "src/node/system_objects.h"
#include "tests/unit/object/fake_link.h"

namespace ebb {
namespace {

using namespace std::chrono_literals;

int run(std::size_t cores, std::function<task<int>()> body) {
  return run_cores(cores, [&body]() -> task<int> { return body(); });
}

struct Leaf {
  int nothing() { return 0; }
  using interface = ebb::interface<"test.Leaf/1", method<"nothing", &Leaf::nothing>>;
};

struct Single {
  using policy = single_home;
  int nothing() { return 0; }
  using interface = ebb::interface<"test.Single/1", method<"nothing", &Single::nothing>>;
};

template <class T>
NewObject wanted(std::string name = {}) {
  static_cast<void>(&detail::Registered<T>::entry);
  return {std::string(T::interface::name), T::interface::id, std::string(policy_of<T>::name), kFrontEndNode, {}, std::move(name)};
}

/// What a store was asked for, by any core; an entry waits as long as `gate` is closed, and then fails `failures` times. Both it and
/// a lease throw `throws` times, as calls do for which there is no timer.
struct Asked {
  std::atomic<int> creations = 0, leases = 0, batches = 0;
  std::atomic<std::size_t> largest = 0;
  bool no_leases = false;
  std::atomic<bool> gate{true};
  int failures = 0;
  int throws = 0;
};

class SlowStore final : public ForwardingDirectory {
 public:
  SlowStore(Asked& asked, std::uint32_t limit) : ForwardingDirectory(make_memory_directory(limit)), asked_(asked) {}
  task<Result<ObjectRecord>> create(NewObject wanted) override {
    ++asked_.creations;
    co_return co_await store().create(std::move(wanted));
  }
  task<Result<IdLease>> lease(NodeId holder, std::uint32_t wanted) override {
    ++asked_.leases;
    may_throw();
    if (asked_.no_leases) co_return Error(Errc::resource_exhausted, "none");
    co_await yield();
    co_return co_await store().lease(holder, wanted);
  }
  task<Result<void>> enter(NodeId holder, std::vector<LeasedObject> objects) override {
    ++asked_.batches;
    for (std::size_t known = asked_.largest; known < objects.size() && !asked_.largest.compare_exchange_weak(known, objects.size());) {
    }
    while (!asked_.gate) co_await sleep_for(100us);
    may_throw();
    if (asked_.failures > 0) {
      --asked_.failures;
      co_return Error(Errc::node_gone, "the connection was lost");
    }
    co_return co_await store().enter(holder, std::move(objects));
  }

 private:
  void may_throw() {
    if (asked_.throws == 0) return;
    --asked_.throws;
    throw ErrorException(Error(Errc::overloaded, "no timers"));
  }
  Asked& asked_;
};

struct Fixture {
  explicit Fixture(std::uint32_t limit = kMaxObjects) : store(new SlowStore(asked, limit)) {
    directory = make_following_directory(std::unique_ptr<Directory>(store));
  }
  Asked asked;
  SlowStore* store;  // of `directory`
  std::unique_ptr<Directory> directory;
};

template <class T>
task<ObjectId> make(Directory& directory) {
  const auto record = co_await directory.create(wanted<T>());
  co_return record.value().id;
}

task<int> many_in_batches() {
  Fixture f;
  f.asked.gate = false;
  std::vector<ObjectId> made;
  for (int i = 0; i < 600; ++i) made.push_back(co_await make<Leaf>(*f.directory));
  EXPECT_EQ(f.asked.creations, 0);
  EXPECT_LE(f.asked.leases, 4);
  EXPECT_EQ((co_await f.store->lookup(made.back())).code(), Errc::no_such_object);
  f.asked.gate = true;
  co_await f.directory->flush();
  EXPECT_LE(f.asked.batches, 2);
  std::uint64_t created = 0;
  for (const ObjectId id : made) {
    const auto record = co_await f.store->lookup(id);
    EXPECT_EQ(record.value().interface_name, "test.Leaf/1");
    EXPECT_GT(record.value().created, created) << "entered in another order";
    created = record.value().created;
  }
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, EntersManyObjectsInFewBatchesAndTheirOrder) { run(1, many_in_batches); }

task<int> soon() {
  Fixture f;
  const ObjectId id = co_await make<Leaf>(*f.directory);
  while (!co_await f.store->lookup(id)) co_await sleep_for(200us);
  EXPECT_EQ(f.asked.batches, 1);
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, EntersASingleObjectSoonAndByItself) { run(1, soon); }

task<int> at_once() {
  Fixture f;
  EXPECT_TRUE(co_await f.directory->create(wanted<Leaf>("named")));
  EXPECT_TRUE(co_await f.directory->create(wanted<Single>()));
  NewObject elsewhere = wanted<Leaf>();
  elsewhere.home = NodeId{5};
  EXPECT_TRUE(co_await f.directory->create(std::move(elsewhere)));
  EXPECT_EQ(f.asked.creations, 3);
  EXPECT_EQ(f.asked.leases, 0);
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, AsksAtOnceForWhatHasANameOrOnePlace) { run(1, at_once); }

task<int> bounded() {
  Fixture f;
  f.asked.gate = false;
  constexpr std::size_t kMost = Directory::kMaxListed;
  std::size_t made = 0;
  Scope scope;
  auto make_all = [](Directory* directory, std::size_t* count) -> task<void> {
    for (std::size_t i = 0; i < kMost + 100; ++i) {
      co_await make<Leaf>(*directory);
      ++*count;
    }
  };
  scope.spawn(make_all(f.directory.get(), &made));
  while (made < kMost) co_await yield();
  for (int i = 0; i < 100; ++i) co_await yield();
  EXPECT_EQ(made, kMost) << "more wait than may";
  f.asked.gate = true;
  co_await scope.join();
  co_await f.directory->flush();
  EXPECT_LE(f.asked.largest, kMost);
  EXPECT_EQ((co_await f.store->list(ObjectId{}, kMost)).value().size(), kMost);
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, LetsCreationsWaitWhenTheDirectoryIsSlow) { run(1, bounded); }

task<int> without_leases() {
  Fixture f;
  f.asked.no_leases = true;
  for (int i = 0; i < 10; ++i) co_await make<Leaf>(*f.directory);
  EXPECT_EQ(f.asked.creations, 10);
  EXPECT_EQ(f.asked.leases, 1) << "asked again at once";
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, AsksForEachObjectWhenNoIdsCanBeLeased) { run(1, without_leases); }

task<int> lost_answers() {
  Fixture f;
  f.asked.failures = 3;
  const ObjectId id = co_await make<Leaf>(*f.directory);
  co_await f.directory->flush();
  EXPECT_EQ(f.asked.batches, 4);
  EXPECT_TRUE(co_await f.store->lookup(id));
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, EntersAgainWhatAFailureHasKeptOut) { run(1, lost_answers); }

task<int> exceptions() {
  Fixture f;
  f.asked.throws = 1;
  const auto leaseless = co_await f.directory->create(wanted<Leaf>());
  EXPECT_TRUE(leaseless) << "the directory itself has ids";
  EXPECT_EQ(f.asked.leases, 1);
  EXPECT_EQ(f.asked.creations, 1);
  // Until another lease is asked for.
  const platform::Instant end = platform::Clock::now() + 10s;
  while (f.asked.leases == 1 && platform::Clock::now() < end) {
    co_await make<Leaf>(*f.directory);
    co_await sleep_for(20ms);
  }
  EXPECT_EQ(f.asked.leases, 2);
  co_await f.directory->flush();
  f.asked.throws = 3;
  const ObjectId id = co_await make<Leaf>(*f.directory);
  co_await f.directory->flush();
  EXPECT_EQ(f.asked.throws, 0);
  EXPECT_TRUE(co_await f.store->lookup(id));
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, TakesWhatIsThrownForAFailure) { run(1, exceptions); }

task<int> cores() {
  Fixture f;
  auto many = [&f]() -> task<std::vector<ObjectId>> {
    auto work = [](Directory* directory) -> task<std::vector<ObjectId>> {
      std::vector<ObjectId> ids;
      for (int i = 0; i < 300; ++i) ids.push_back(co_await make<Leaf>(*directory));
      co_return ids;
    };
    return work(f.directory.get());
  };
  std::vector<ObjectId> all = co_await on_core(CoreIndex{1}, many);
  const std::vector<ObjectId> mine = co_await many();
  all.insert(all.end(), mine.begin(), mine.end());
  co_await f.directory->flush();
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end()) << "an id was given twice";
  for (const ObjectId id : all) EXPECT_TRUE(co_await f.store->lookup(id));
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, GivesEachCoreIdsOfItsOwn) { run(2, cores); }

/// What needs the directory at once was made later than what does not, on whatever core of the node that was.
task<int> in_order() {
  Fixture f;
  f.asked.gate = false;
  auto leaf = [&f]() -> task<ObjectId> { return make<Leaf>(*f.directory); };
  const ObjectId here = co_await make<Leaf>(*f.directory);
  const ObjectId there = co_await on_core(CoreIndex{1}, leaf);
  auto open_soon = [](Asked* asked) -> task<void> {
    co_await sleep_for(5ms);
    asked->gate = true;
  };
  auto both = when_all(make<Single>(*f.directory), open_soon(&f.asked));
  const auto [home, opened] = co_await std::move(both);
  static_cast<void>(opened);
  const ObjectId after = co_await make<Leaf>(*f.directory);
  const auto named = (co_await f.directory->create(wanted<Leaf>("named"))).value();
  co_await f.directory->flush();
  std::vector<std::uint64_t> created;
  for (const ObjectId id : {here, there, home, after, named.id}) created.push_back((co_await f.store->lookup(id)).value().created);
  EXPECT_LT(created[0], created[2]);
  EXPECT_LT(created[1], created[2]) << "another core's counts less";
  EXPECT_LT(created[2], created[3]);
  EXPECT_LT(created[3], created[4]);
  co_await f.directory->close();
  co_return 0;
}

TEST(FollowingDirectory, NumbersWhatFollowsBeforeWhatTheNodeMakesLater) { EXPECT_EQ(run(2, in_order), 0); }

// --- what the front end says of ids that are not entered; its node made them itself ---

task<int> described() {
  auto& table = NodeTable::instance();
  auto store = make_memory_directory();
  Directory* records = store.get();
  const auto leasing = make_leasing_directory(std::move(store));
  const auto lease = (co_await leasing->lease(kFrontEndNode, 10)).value();
  const ObjectId made = lease.first, unused(lease.first.index() + 1);
  table.enter(made, detail::kTypeDescriptor<Leaf>);
  table.learn_home(made, {kFrontEndNode, CoreIndex{0}, 1});
  EXPECT_EQ((co_await records->lookup(made)).code(), Errc::no_such_object);
  EXPECT_EQ((co_await leasing->lookup(unused)).code(), Errc::no_such_object);
  EXPECT_EQ((co_await leasing->lookup(made)).value().interface_name, "test.Leaf/1");
  EXPECT_TRUE(co_await records->lookup(made)) << "who asks again hears of another";
  EXPECT_TRUE(co_await leasing->remove(made));
  EXPECT_EQ((co_await leasing->lookup(made)).code(), Errc::no_such_object);
  table.enter(unused, detail::kTypeDescriptor<Leaf>);
  EXPECT_TRUE(co_await leasing->remove(unused)) << "an object cannot be destroyed before it is entered";
  EXPECT_EQ((co_await leasing->lookup(unused)).code(), Errc::no_such_object);
  co_await table.clear();
  co_return 0;
}

TEST(LeasingDirectory, FindsAndRemovesWhatIsNotEnteredYet) { run(1, described); }

/// The holder of a lease is asked again until it is reached or no member any more: its connections may be lost, and it live.
task<int> asked_again() {
  auto& table = NodeTable::instance();
  auto store = make_memory_directory();
  const auto leasing = make_leasing_directory(std::move(store));
  const auto lease = (co_await leasing->lease(test::kOther, 10)).value();
  const ObjectId made(lease.first.index() + 5);  // one that no other test has ended
  test::FakeLink link;
  link.for_services = true;
  table.enter(detail::kNodeService.id(), detail::kTypeDescriptor<detail::NodeService>);
  table.enter(made, detail::kTypeDescriptor<Leaf>);
  table.learn_home(made, {kFrontEndNode, CoreIndex{0}, 1});
  link.answers.assign(3, Error(Errc::node_gone, "the connection is lost"));
  const auto found = co_await leasing->lookup(made);
  EXPECT_TRUE(found) << "a lost connection was taken for the end of the object: " << (found ? "" : found.error().text());
  EXPECT_EQ(link.calls, 4);
  const ObjectId unknown(made.index() + 1);
  link.answers.assign(1, Error(Errc::node_gone, "the connection is lost"));
  link.always = true;
  EXPECT_EQ((co_await leasing->lookup(unknown)).code(), Errc::unavailable) << "nobody knows";
  link.left = true;
  EXPECT_EQ((co_await leasing->lookup(unknown)).code(), Errc::no_such_object);
  co_await table.clear();
  co_return 0;
}

TEST(LeasingDirectory, AsksAgainWhileTheHolderIsAMember) { run(1, asked_again); }

TEST(RemoteDirectory, AsksNobodyOnceItsNodeHasLeftItsCluster) {
  EXPECT_EQ(run(1, []() -> task<int> {
    const auto directory = make_remote_directory();
    EXPECT_EQ((co_await directory->lookup(kFirstDynamicObject)).code(), Errc::cancelled);
    EXPECT_EQ((co_await directory->create(wanted<Leaf>())).code(), Errc::cancelled);
    co_return 0;
  }), 0);
}

}  // namespace
}  // namespace ebb
