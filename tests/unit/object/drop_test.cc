// Objects that are dropped from a node's memory and come back, on one node; and what the node counts of its misses.
#include "ebb/object/drop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/platform/translation_table.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using namespace std::chrono_literals;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};
std::atomic<int> roots{0};
std::atomic<bool> gate{false};

template <class Policy, bool kSaves>
struct Sum {
  using policy = Policy;
  Sum() { ++alive; }
  ~Sum() { --alive; }
  std::int64_t value = 0;
  std::int64_t add(std::int64_t amount) { return value += amount; }
  ebb::task<std::int64_t> wait() {
    while (!gate) co_await ebb::sleep_for(50us);
    co_return value;
  }
  std::int64_t save() const
    requires kSaves
  {
    return value;
  }
  void restore(std::int64_t state)
    requires kSaves
  {
    value = state;
  }
};

struct Kept : Sum<ebb::per_core, true> {
  using interface = ebb::interface<"test.Kept/1", ebb::method<"add", &Kept::add>, ebb::method<"wait", &Kept::wait>>;
};
struct Fresh : Sum<ebb::per_core, false> {
  using interface = ebb::interface<"test.Fresh/1", ebb::method<"add", &Fresh::add>>;
};
struct Shared : Sum<ebb::per_node, true> {
  std::atomic<std::int64_t> total{0};
  std::int64_t count(std::int64_t amount) { return total += amount; }
  std::int64_t save() const { return total; }
  void restore(std::int64_t state) { total = state; }
  using interface = ebb::interface<"test.Shared/1", ebb::method<"count", &Shared::count>>;
};
/// Counts its own uses even while it is saved.
struct Vain {
  using policy = ebb::per_node;
  static inline ebb::ObjectId self;
  int uses = 0;
  void use() { ++uses; }
  int save() const {
    ebb::ref<Vain>::unchecked(self)->use();
    return uses;
  }
  void restore(int state) { uses = state; }
  using interface = ebb::interface<"test.Vain/1", ebb::method<"use", &Vain::use>>;
};
struct Home : Sum<ebb::single_home, true> {
  using interface = ebb::interface<"test.Home/1", ebb::method<"add", &Home::add>>;
};
struct Careless : Sum<ebb::single_home, false> {
  using interface = ebb::interface<"test.Careless/1", ebb::method<"add", &Careless::add>>;
};
struct Rooted {
  struct root {
    root() { ++roots; }
    ~root() { --roots; }
    std::atomic<int> value{0};
  };
  explicit Rooted(root& shared) : node(&shared) { ++alive; }
  ~Rooted() { --alive; }
  root* node;
  int next() { return ++node->value; }
  using interface = ebb::interface<"test.Rooted/1", ebb::method<"next", &Rooted::next>>;
};
struct Unwilling : Sum<ebb::per_core, false> {
  std::int64_t save() const { throw std::runtime_error("not now"); }
  void restore(std::int64_t) {}
  using interface = ebb::interface<"test.Unwilling/1", ebb::method<"add", &Unwilling::add>>;
};

ebb::task<int> each_core() {
  const auto object = (co_await ebb::create<Kept>()).value();
  EXPECT_EQ((co_await ebb::drop(object)).value(), 0u) << "nothing was made";
  object->add(5);
  EXPECT_EQ((co_await object.on(CoreIndex{1}).call<&Kept::add>(7)).value(), 7);
  EXPECT_EQ((co_await ebb::drop(object)).value(), 2u);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(object->add(1), 6);
  EXPECT_EQ((co_await object.on(CoreIndex{1}).call<&Kept::add>(1)).value(), 8);
  EXPECT_EQ((co_await ebb::drop(object)).value(), 2u);
  EXPECT_TRUE(co_await ebb::destroy(object));
  EXPECT_EQ((co_await ebb::drop(object)).code(), Errc::no_such_object);
  const auto fresh = (co_await ebb::create<Fresh>()).value();
  fresh->add(5);
  EXPECT_EQ((co_await ebb::drop(fresh)).value(), 1u);
  EXPECT_EQ(fresh->add(1), 1);
  EXPECT_TRUE(co_await ebb::destroy(fresh));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Drop, EndsWhatCoresHaveAndBringsBackWhatTheyHadSaved) { run(each_core); }

ebb::task<int> busy() {
  gate = false;
  const auto object = (co_await ebb::create<Kept>()).value();
  object->add(5);
  auto waiting = [object]() -> ebb::task<ebb::Result<std::int64_t>> { return object.on(CoreIndex{1}).call<&Kept::wait>(); };
  ebb::Scope scope;
  std::int64_t seen = -1;
  auto keep = [](ebb::task<ebb::Result<std::int64_t>> work, std::int64_t* result) -> ebb::task<void> { *result = (co_await std::move(work)).value(); };
  scope.spawn(keep(waiting(), &seen));
  while (ebb::NodeTable::instance().cores_of(object.id()) != 3) co_await ebb::sleep_for(50us);
  EXPECT_EQ((co_await ebb::drop(object)).value(), 1u) << "the one that works must stay";
  EXPECT_EQ(alive, 1);
  gate = true;
  co_await scope.join();
  EXPECT_EQ(seen, 0);
  EXPECT_EQ((co_await ebb::drop(object)).value(), 1u);
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(Drop, LeavesRepresentativesThatWork) { run(busy); }

ebb::task<int> whole_node() {
  const auto object = (co_await ebb::create<Shared>()).value();
  object->count(5);
  co_await object.on(CoreIndex{1}).call<&Shared::count>(5);
  EXPECT_EQ(alive, 1);
  EXPECT_EQ((co_await ebb::drop(object)).value(), 2u);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await object.on(CoreIndex{1}).call<&Shared::count>(1)).value(), 11);
  EXPECT_EQ(object->count(1), 12);
  EXPECT_EQ(alive, 1);
  EXPECT_TRUE(co_await ebb::destroy(object));
  EXPECT_EQ(alive, 0);
  const auto rooted = (co_await ebb::create<Rooted>()).value();
  rooted->next();
  EXPECT_EQ((co_await ebb::drop(rooted)).value(), 1u);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(roots, 1) << "what the cores share has no state that could come back";
  EXPECT_EQ(rooted->next(), 2);
  EXPECT_TRUE(co_await ebb::destroy(rooted));
  EXPECT_EQ(roots, 0);
  co_return 0;
}

TEST(Drop, EndsWhatANodeSharesOnlyWhereItSavesItsState) { run(whole_node); }

ebb::task<int> vain() {
  const auto object = (co_await ebb::create<Vain>()).value();
  Vain::self = object.id();
  object->use();
  EXPECT_EQ((co_await ebb::drop(object)).code(), Errc::internal) << "waits for itself";
  object->use();
  EXPECT_EQ(object->uses, 2);
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(Drop, RefusesAStateThatUsesItsOwnObject) { run(vain); }

ebb::task<int> home() {
  const auto object = (co_await ebb::create_at<Home>(ebb::kFrontEndNode, CoreIndex{1})).value();
  EXPECT_EQ((co_await object.call<&Home::add>(5)).value(), 5);
  EXPECT_EQ((co_await ebb::drop(object)).value(), 1u);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await object.call<&Home::add>(1)).value(), 6);
  EXPECT_TRUE(co_await ebb::destroy(object));
  const auto careless = (co_await ebb::create<Careless>()).value();
  EXPECT_EQ((co_await careless.call<&Careless::add>(5)).value(), 5);
  EXPECT_EQ((co_await ebb::drop(careless)).code(), Errc::invalid_argument);
  EXPECT_EQ((co_await careless.call<&Careless::add>(1)).value(), 6);
  EXPECT_TRUE(co_await ebb::destroy(careless));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Drop, KeepsTheStateOfAHomeOrRefuses) { run(home); }

ebb::task<int> unwilling() {
  const auto object = (co_await ebb::create<Unwilling>()).value();
  object->add(5);
  EXPECT_EQ((co_await ebb::drop(object)).code(), Errc::application_error);
  EXPECT_EQ(object->add(1), 6) << "gone, though its state could not be had";
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(Drop, LeavesWhatCannotSaveItsState) { run(unwilling); }

ebb::task<void> add_often(ebb::ref<Kept> object, ebb::ref<Shared> shared, int times) {
  for (int i = 0; i < times; ++i) {
    object->add(1);
    shared->count(1);
    if (i % 16 == 0) co_await ebb::yield();
  }
}

ebb::task<int> races() {
  constexpr int kTimes = 20'000;
  const auto object = (co_await ebb::create<Kept>()).value();
  const auto shared = (co_await ebb::create<Shared>()).value();
  bool done = false;
  auto drop_often = [](ebb::ref<Kept> kept, ebb::ref<Shared> whole, const bool* ended) -> ebb::task<void> {
    while (!*ended) {
      EXPECT_TRUE((co_await ebb::drop(kept)));
      const auto dropped = co_await ebb::drop(whole);
      EXPECT_TRUE(dropped || dropped.code() == Errc::overloaded);
      co_await ebb::yield();
    }
  };
  ebb::Scope scope;
  scope.spawn(drop_often(object, shared, &done));
  auto there = [object, shared] { return add_often(object, shared, kTimes); };
  auto both = [](decltype(there) work, ebb::ref<Kept> kept, ebb::ref<Shared> whole) -> ebb::task<void> {
    auto here = add_often(kept, whole, kTimes);
    auto other = ebb::on_core(CoreIndex{1}, work);
    co_await std::move(here);
    co_await std::move(other);
  };
  co_await both(there, object, shared);
  done = true;
  co_await scope.join();
  EXPECT_EQ(object->add(0), kTimes);
  EXPECT_EQ((co_await object.on(CoreIndex{1}).call<&Kept::add>(0)).value(), kTimes);
  EXPECT_EQ(shared->count(0), 2 * kTimes);
  EXPECT_TRUE(co_await ebb::destroy(object));
  EXPECT_TRUE(co_await ebb::destroy(shared));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Drop, LosesNothingWhileTheObjectIsUsed) { run(races); }

ebb::task<int> counted() {
  auto& table = ebb::NodeTable::instance();
  const ebb::ObjectCounts before = table.counts();
  std::vector<ebb::ref<Fresh>> objects;
  for (int i = 0; i < 100; ++i) objects.push_back((co_await ebb::create<Fresh>()).value());
  for (int use = 0; use < 3; ++use) {
    for (const auto object : objects) object->add(1);
  }
  const auto unknown = ebb::ref<Fresh>::unchecked(ebb::ObjectId(999'999));
  EXPECT_THROW(unknown->add(1), ebb::ErrorException);
  const ebb::ObjectCounts after = table.counts();
  EXPECT_EQ(after.known - before.known, 100u);
  EXPECT_EQ(after.representatives - before.representatives, 100u);
  EXPECT_EQ(after.misses - before.misses, 101u) << "hits are no misses";
  EXPECT_EQ(after.failed - before.failed, 1u);
  EXPECT_EQ(after.asked - before.asked, 1u);
  EXPECT_GE(after.timed - before.timed, 2u);
  EXPECT_EQ(after.waited - before.waited, 1u);
  EXPECT_GT(after.mean_nanos(), 0);
  EXPECT_GE(static_cast<double>(after.longest_nanos), after.mean_nanos());
  for (const auto object : objects) EXPECT_TRUE(co_await ebb::destroy(object));
  EXPECT_EQ(table.counts().representatives, before.representatives);
  co_return 0;
}

TEST(ObjectCounts, TellMissesFromHitsAndWhatTheyCost) { run(counted); }

TEST(ObjectCounts, WeighASampleByWhatItStandsFor) {
  ebb::ObjectCounts counts;
  counts.misses = 110;
  counts.timed = 15;
  counts.waited = 10;
  counts.waited_nanos = 10'000;
  counts.quick_nanos = 500;
  EXPECT_DOUBLE_EQ(counts.mean_nanos(), (10'000 + 100 * 100.0) / 110);
  EXPECT_EQ(ebb::ObjectCounts().mean_nanos(), 0);
}

/// A state whose values are small on the wire and large in memory: an empty cell is a byte there.
struct Sheet {
  using policy = ebb::single_home;
  using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;
  std::vector<std::vector<Cell>> rows;
  void enlarge(std::uint32_t count) { rows.resize(count, std::vector<Cell>(20)); }
  std::uint64_t size() const { return rows.size(); }
  std::vector<std::vector<Cell>> save() const { return rows; }
  void restore(std::vector<std::vector<Cell>> state) { rows = std::move(state); }
  using interface = ebb::interface<"test.Sheet/1", ebb::method<"enlarge", &Sheet::enlarge>, ebb::method<"size", &Sheet::size>>;
};

ebb::task<int> drop_what_is_large_in_memory() {
  const auto sheet = (co_await ebb::create<Sheet>()).value();
  EXPECT_TRUE(co_await sheet.on_home().call<&Sheet::enlarge>(5'000u));
  EXPECT_EQ((co_await ebb::drop(sheet)).value(), 1u);
  const auto size = co_await sheet.on_home().call<&Sheet::size>();
  EXPECT_TRUE(size) << "what it saved cannot be restored";
  EXPECT_EQ(size ? *size : 0, 5'000u);
  EXPECT_TRUE(co_await ebb::destroy(sheet));
  co_return 0;
}

TEST(Drop, KeepsAStateThatIsSmallOnTheWireAndLargeInMemory) { EXPECT_EQ(run(drop_what_is_large_in_memory), 0); }

/// A replica whose destructor waits, as one that tells another object does.
struct Notice {
  using policy = ebb::replicated;
  ~Notice() {
    if (!gate) ebb::block_on(until_gate_opens());
  }
  static ebb::task<void> until_gate_opens() {
    while (!gate) co_await ebb::sleep_for(50us);
  }
  int value = 1;
  int read() const { return value; }
  int write() { return ++value; }
  int save() const { return value; }
  void restore(int state) { value = state; }
  using interface = ebb::interface<"test.Notice/1", ebb::method<"read", &Notice::read>, ebb::method<"write", &Notice::write>>;
};

ebb::task<int> drop_replicas_whose_ends_wait() {
  gate = false;
  ebb::test::FakeLink link;
  std::vector<ebb::ref<Notice>> notices;
  for (int i = 0; i < 3; ++i) {
    notices.push_back((co_await ebb::create<Notice>()).value());
    EXPECT_EQ(notices.back()->read(), 1);
    ebb::NodeTable::instance().learn_home(notices.back().id(), {ebb::test::kOther, CoreIndex{0}, 9});
  }
  bool dropped = false;
  ebb::Core::current().spawn([&dropped] {
    ebb::NodeTable::instance().drop_caches();
    dropped = true;
  });
  co_await ebb::sleep_for(2ms);
  EXPECT_FALSE(dropped);
  for (const auto& notice : notices) {
    EXPECT_EQ(ebb::platform::translate(notice.id()), nullptr) << "an old replica can be read while another one ends";
  }
  gate = true;
  while (!dropped) co_await ebb::sleep_for(1ms);
  co_return 0;
}

TEST(Drop, TakesAllReplicasOutOfSightBeforeTheFirstOneEnds) { EXPECT_EQ(run(drop_replicas_whose_ends_wait), 0); }

/// The end of the first waits; meanwhile one of the others is touched again.
ebb::task<int> replace_a_replica_that_is_yet_to_end() {
  gate = true;
  std::vector<ebb::ref<Notice>> notices;
  for (int i = 0; i < 2; ++i) {
    notices.push_back((co_await ebb::create<Notice>()).value());
    EXPECT_EQ((co_await notices.back().call<&Notice::write>()).value(), 2);
    EXPECT_EQ((co_await notices.back().on(CoreIndex{1}).call<&Notice::read>()).value(), 2);
  }
  gate = false;
  std::atomic<bool> dropped{false};
  const auto sent = ebb::Core::spawn_on(CoreIndex{1}, [&dropped] {
    ebb::NodeTable::instance().drop_caches();
    dropped = true;
  });
  EXPECT_TRUE(sent);
  co_await ebb::sleep_for(2ms);
  EXPECT_FALSE(dropped);
  EXPECT_EQ((co_await notices.back().on(CoreIndex{1}).call<&Notice::read>()).value(), 2);
  gate = true;
  while (!dropped) co_await ebb::sleep_for(1ms);
  EXPECT_EQ((co_await notices.back().call<&Notice::write>()).value(), 3);
  EXPECT_EQ((co_await notices.back().on(CoreIndex{1}).call<&Notice::read>()).value(), 3) << "it ended with the old one";
  co_return 0;
}

TEST(Drop, LeavesAReplicaAloneThatHasTakenAnothersPlace) { EXPECT_EQ(run(replace_a_replica_that_is_yet_to_end), 0); }

}  // namespace
