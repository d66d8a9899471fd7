// Partitions on their way between the cores of one node, with calls and states that hold them up. Across nodes: the simulator's
// scenario kinds.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <stdexcept>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/object/partition.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"
#include "tests/unit/object/lone_link.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::kFrontEndNode;
using ebb::detail::Adoption;
using ebb::detail::kPartitionService;
using ebb::detail::PartitionService;
using namespace std::chrono_literals;

// Later than any that a coordinator comes to.
constexpr std::uint64_t kRound = (std::uint64_t{1} << 32) + 1000;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};
std::atomic<bool> save_throws{false};
std::atomic<bool> restore_throws{false};
std::atomic<bool> destroys{false};
std::atomic<bool> gate{false};
std::atomic<int> waiting{0};

struct Shelf {
  using policy = ebb::partitioned;
  static constexpr std::uint32_t kPartitions = 16;
  Shelf() { ++alive; }
  ~Shelf() { --alive; }
  std::map<std::uint32_t, std::int64_t> values;
  std::int64_t add(std::uint32_t key) { return ++values[key]; }
  std::uint16_t core(std::uint32_t) const { return ebb::to_number(ebb::Core::current().index()); }
  ebb::task<std::int64_t> wait(std::uint32_t key) {
    ++waiting;
    while (!gate) co_await ebb::sleep_for(100us);
    co_return values[key];
  }
  std::map<std::uint32_t, std::int64_t> save() const {
    if (save_throws) throw std::runtime_error("not now");
    return values;
  }
  void restore(std::map<std::uint32_t, std::int64_t> state);
  using interface = ebb::interface<"test.Shelf/1", ebb::method<"add", &Shelf::add>, ebb::method<"core", &Shelf::core>,
                                   ebb::method<"wait", &Shelf::wait>>;
};

ebb::ref<Shelf> shelf;

ebb::detail::Detached destroy_it() { static_cast<void>(co_await ebb::destroy(shelf)); }

void Shelf::restore(std::map<std::uint32_t, std::int64_t> state) {
  if (restore_throws) throw std::runtime_error("not now");
  if (destroys) destroy_it();
  values = std::move(state);
}

ebb::task<std::int64_t> add(std::uint32_t key, std::chrono::milliseconds limit = 2s) {
  const auto sum = co_await shelf.on_key(key).within(limit).call<&Shelf::add>(key);
  co_return sum ? *sum : -1;
}

std::uint32_t partition_of(std::uint32_t key) { return shelf.on_key(key).partition(); }

ebb::task<CoreIndex> core_of(std::uint32_t key) {
  co_return CoreIndex{(co_await shelf.on_key(key).within(2s).call<&Shelf::core>(key)).value()};
}

ebb::task<Errc> adopt(std::uint64_t round, std::uint32_t key, CoreIndex from, CoreIndex to) {
  const std::vector<Adoption> one(1, Adoption{partition_of(key), {kFrontEndNode, from}, false});
  const auto codes = co_await kPartitionService.on(kFrontEndNode, to).within(2s).call<&PartitionService::adopt>(shelf.id(), round, one);
  co_return codes ? codes->front() : codes.code();
}

CoreIndex other(CoreIndex core) { return core == CoreIndex{0} ? CoreIndex{1} : CoreIndex{0}; }

ebb::task<int> end_in_the_middle() {
  shelf = (co_await ebb::create<Shelf>()).value();
  EXPECT_EQ(co_await add(1), 1);
  const CoreIndex from = co_await core_of(1);
  destroys = true;
  EXPECT_EQ(co_await adopt(kRound, 1, from, other(from)), Errc::no_such_object) << "asks for ever what will never be said";
  destroys = false;
  co_await ebb::sleep_for(10ms);
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(PartitionOnItsWay, EndsWithItsObject) { EXPECT_EQ(run(end_in_the_middle), 0); }

/// A call of wait() that was just made: one of another object, as a partition's release is, may begin before it.
ebb::task<void> let_it_begin() {
  for (const auto give_up = ebb::platform::Clock::now() + 10s; waiting == 0 && ebb::platform::Clock::now() < give_up;) {
    co_await ebb::sleep_for(100us);
  }
  EXPECT_EQ(waiting, 1);
}

/// Whether calls of this key come to wait: for far longer than one takes that is answered.
ebb::task<bool> comes_to_hold_up(std::uint32_t key) {
  for (int tries = 0; tries < 1000; ++tries) {
    const auto answer = co_await shelf.on_key(key).within(200ms).call<&Shelf::core>(key);
    if (answer.code() == Errc::deadline_exceeded) co_return true;
  }
  co_return false;
}

ebb::task<int> overtaken() {
  gate = false;
  waiting = 0;
  shelf = (co_await ebb::create<Shelf>()).value();
  EXPECT_EQ(co_await add(1), 1);
  const CoreIndex from = co_await core_of(1);
  ebb::Scope scope;
  auto wait = []() -> ebb::task<void> { EXPECT_EQ((co_await shelf.on_key(1u).call<&Shelf::wait>(1u)).value(), 2); };
  scope.spawn(wait());
  co_await let_it_begin();
  auto release = [](CoreIndex core, Errc* code) -> ebb::task<void> {
    *code = (co_await kPartitionService.on(kFrontEndNode, core).call<&PartitionService::release>(shelf.id(), kRound, partition_of(1))).code();
  };
  Errc released = Errc::ok;
  scope.spawn(release(from, &released));
  EXPECT_TRUE(co_await comes_to_hold_up(1));
  EXPECT_EQ(co_await add(1, 20ms), -1) << "it is to go";
  EXPECT_TRUE(co_await kPartitionService.on(kFrontEndNode).call<&PartitionService::holdings>(shelf.id(), kRound + 1));
  EXPECT_EQ(co_await add(1), 2) << "stopped, although nobody takes it";
  EXPECT_EQ(released, Errc::moved);
  gate = true;
  co_await scope.join();
  EXPECT_TRUE(co_await ebb::destroy(shelf));
  co_return 0;
}

TEST(PartitionOnItsWay, AnswersAgainWhenItsReleaseIsOvertaken) { EXPECT_EQ(run(overtaken), 0); }

ebb::task<int> throwing() {
  ebb::testing::LoneLink link(1);
  shelf = (co_await ebb::create<Shelf>()).value();
  for (std::uint32_t key = 0; key < 100; ++key) EXPECT_EQ(co_await add(key), 1);
  for (std::atomic<bool>* throws : {&save_throws, &restore_throws}) {
    *throws = true;
    link.show(2);
    co_await ebb::sleep_for(50ms);
    for (std::uint32_t key = 0; key < 100; ++key) EXPECT_GT(co_await add(key), 1) << "its state is there, and nobody answers";
    *throws = false;
    link.show(1);
    co_await ebb::sleep_for(50ms);
  }
  link.show(2);
  int moved = 0;
  for (int turn = 0; turn < 200 && moved == 0; ++turn) {
    co_await ebb::sleep_for(5ms);
    for (std::uint32_t key = 0; key < 100; ++key) moved += co_await core_of(key) == CoreIndex{1} ? 1 : 0;
  }
  EXPECT_GT(moved, 0) << "what could not move once never moves";
  for (std::uint32_t key = 0; key < 100; ++key) EXPECT_EQ(co_await add(key), 4);
  EXPECT_TRUE(co_await ebb::destroy(shelf));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(PartitionOnItsWay, StaysWhenItsStateDoesNotTravel) { EXPECT_EQ(run(throwing), 0); }

ebb::task<void> wait_for_gate(std::uint32_t key) { EXPECT_TRUE(co_await shelf.on_key(key).call<&Shelf::wait>(key)); }

/// A hundred keys on one core, and until the gate opens a call of one whose partition goes elsewhere with a second core: that key.
ebb::task<std::uint32_t> make_a_busy_shelf(ebb::Scope* scope) {
  gate = false;
  waiting = 0;
  shelf = (co_await ebb::create<Shelf>()).value();
  for (std::uint32_t key = 0; key < 100; ++key) EXPECT_EQ(co_await add(key), 1);
  std::uint32_t busy = 0;
  while (ebb::detail::choose_owner(shelf.id(), partition_of(busy), {2, {{kFrontEndNode, 2, false}}}).core != CoreIndex{1}) ++busy;
  scope->spawn(wait_for_gate(busy));
  co_await let_it_begin();
  co_return busy;
}

/// Whether a key of another partition than `busy` comes to be on `core`.
ebb::task<bool> some_other_moves_to(CoreIndex core, std::uint32_t busy) {
  for (const auto give_up = ebb::platform::Clock::now() + 10s; ebb::platform::Clock::now() < give_up;) {
    for (std::uint32_t key = 0; key < 100; ++key) {
      if (partition_of(key) == partition_of(busy)) continue;
      const CoreIndex now = co_await core_of(key);
      if (now == core) co_return true;
    }
    co_await ebb::sleep_for(1ms);
  }
  co_return false;
}

ebb::task<int> held_up() {
  ebb::testing::LoneLink link(1);
  ebb::Scope scope;
  const std::uint32_t busy = co_await make_a_busy_shelf(&scope);
  link.show(2);
  const bool moved = co_await some_other_moves_to(CoreIndex{1}, busy);
  EXPECT_TRUE(moved);
  for (std::uint32_t key = 0; key < 100; ++key) {
    if (partition_of(key) == partition_of(busy)) continue;
    EXPECT_EQ(co_await add(key), 2) << "waits for the call of another partition";
  }
  // Back to one core, while one is still under way to the other: those that are there come home.
  link.show(1);
  gate = true;
  co_await scope.join();
  for (std::uint32_t key = 0; key < 100; ++key) EXPECT_GE(co_await add(key), 2);
  EXPECT_TRUE(co_await ebb::destroy(shelf));
  co_return 0;
}

TEST(PartitionOnItsWay, HoldsUpNoOther) { EXPECT_EQ(run(held_up), 0); }

/// What cannot be restored elsewhere answers where it was, though a call of another one makes the round last.
ebb::task<int> given_in_vain() {
  ebb::testing::LoneLink link(1);
  ebb::Scope scope;
  const std::uint32_t busy = co_await make_a_busy_shelf(&scope);
  restore_throws = true;
  link.show(2);
  co_await ebb::sleep_for(20ms);
  for (std::uint32_t key = 0; key < 100; ++key) {
    if (partition_of(key) == partition_of(busy)) continue;
    EXPECT_EQ(co_await add(key), 2) << "answers nobody until the round is over";
  }
  restore_throws = false;
  link.show(1);
  gate = true;
  co_await scope.join();
  EXPECT_TRUE(co_await ebb::destroy(shelf));
  co_return 0;
}

TEST(PartitionOnItsWay, AnswersAgainAtOnceWhenItsStateCannotBeRestored) { EXPECT_EQ(run(given_in_vain), 0); }

/// Another build's class has fewer partitions.
ebb::task<int> short_map() {
  shelf = (co_await ebb::create<Shelf>()).value();
  EXPECT_EQ(co_await add(1), 1);
  auto* root = static_cast<ebb::detail::PartitionRoot*>(ebb::NodeTable::instance().root_of(shelf.id()));
  ebb::detail::PartitionMap few = *root->cores[0].map;
  few.version += 1000;
  few.owners.resize(1);
  root->cores[0].map = std::make_shared<ebb::detail::PartitionMap>(std::move(few));
  for (std::uint32_t key = 0; key < 20; ++key) EXPECT_GT(co_await add(key), 0);
  EXPECT_TRUE(co_await ebb::destroy(shelf));
  co_return 0;
}

TEST(PartitionOnItsWay, IsAskedForWhereTheMapThatIsKnownHasFewer) { EXPECT_EQ(run(short_map), 0); }

std::atomic<bool> opened{false};

/// What each partition is told when it is made anew may take its time, and fail.
struct Told {
  using policy = ebb::partitioned;
  static constexpr std::uint32_t kPartitions = 1;
  std::int64_t heard = 0;
  std::int64_t get() const { return heard; }
  ebb::task<void> on_lost(ebb::partition_lost) {
    co_await ebb::sleep_for(1ms);
    if (!opened) throw std::runtime_error("not yet");
    heard = 7;
  }
  std::int64_t save() const { return heard; }
  void restore(std::int64_t state) { heard = state; }
  using interface = ebb::interface<"test.Told/1", ebb::method<"get", &Told::get>>;
};

ebb::task<int> told() {
  const auto object = (co_await ebb::create<Told>()).value();
  EXPECT_EQ((co_await object.on_key(1).call<&Told::get>()).value(), 0);
  const CoreIndex free = other(ebb::detail::choose_owner(object.id(), 0, ebb::detail::cluster_view()).core);
  const std::vector<Adoption> lost(1, Adoption{0, {}, true});
  const auto service = kPartitionService.on(kFrontEndNode, free);
  EXPECT_EQ((co_await service.call<&PartitionService::adopt>(object.id(), kRound, lost)).value().front(), Errc::application_error);
  opened = true;
  EXPECT_EQ((co_await service.call<&PartitionService::adopt>(object.id(), kRound, lost)).value().front(), Errc::ok);
  auto look = [object] { return ebb::detail::Partitioning::Use(object.id(), ebb::detail::kTypeDescriptor<Told>, 0).instance(); };
  EXPECT_EQ(static_cast<Told*>(co_await ebb::on_core(free, look))->heard, 7);
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(PartitionMadeAnew, WaitsInOnLost) { EXPECT_EQ(run(told), 0); }

std::atomic<int> losses{0};

struct Fresh {
  using policy = ebb::partitioned;
  static constexpr std::uint32_t kPartitions = 4;
  std::int64_t value = 3;
  std::int64_t get() const { return value; }
  void on_lost(const ebb::partition_lost&) { ++losses; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"test.Fresh/1", ebb::method<"get", &Fresh::get>>;
};

ebb::task<void> expect_answer(ebb::ref<Fresh> object) {
  EXPECT_EQ((co_await object.on_key(1).within(10s).call<&Fresh::get>()).value(), 3);
}

/// Partitions are to be made on a node that is not reached, and that then leaves: nothing was there to be lost.
ebb::task<int> never_asked() {
  ebb::test::FakeLink link;
  link.for_services = true;
  link.answers.push_back(ebb::Error::refusal(Errc::node_gone, "cannot connect to node 5; nothing ran"));
  link.always = true;
  const auto object = (co_await ebb::create<Fresh>()).value();
  ebb::Scope scope;
  scope.spawn(expect_answer(object));
  for (const auto give_up = ebb::platform::Clock::now() + 5s; link.calls < 4 && ebb::platform::Clock::now() < give_up;) {
    co_await ebb::sleep_for(1ms);
  }
  EXPECT_GE(link.calls, 4) << "nobody was asked to make them";
  link.left = true;
  ebb::detail::notify_view_changed();
  co_await scope.join();
  EXPECT_EQ(losses, 0);
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(PartitionMadeAnew, IsNewWhenItsFirstOwnerWasNeverAsked) { EXPECT_EQ(run(never_asked), 0); }

/// The home before may have given partitions to a member of which the new home has yet to hear.
ebb::task<int> unheard_of() {
  ebb::test::FakeLink link;
  link.left = true;
  link.word.others = {ebb::test::kOther};
  link.for_services = true;
  const auto object = (co_await ebb::create_at<Fresh>(kFrontEndNode, CoreIndex{0})).value();
  ebb::NodeTable& table = ebb::NodeTable::instance();
  const std::uint32_t epoch = table.home_of(object.id()).epoch;
  const auto record = (co_await table.directory().re_home(object.id(), epoch, kFrontEndNode, CoreIndex{1})).value();
  table.learn_home(object.id(), ebb::home_of(record));
  ebb::Scope scope;
  scope.spawn(expect_answer(object));
  co_await ebb::sleep_for(20ms);
  link.left = false;
  link.came = true;
  ebb::detail::notify_view_changed();
  co_await scope.join();
  EXPECT_FALSE(link.methods.empty());
  if (!link.methods.empty()) {
    EXPECT_EQ(link.methods.front(), PartitionService::interface::method_id<&PartitionService::holdings>()) << "nobody asked what it has";
  }
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(PartitionMadeAnew, WaitsUntilAllMembersAreKnownAndAsked) { EXPECT_EQ(run(unheard_of), 0); }

}  // namespace
