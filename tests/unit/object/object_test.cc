#include "ebb/object.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <unordered_set>
#include <vector>

#include "ebb/async.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;

struct Counter {
  std::int64_t value = 0;
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  ebb::task<std::int64_t> get_later() {
    co_await ebb::sleep_for(std::chrono::milliseconds(1));
    co_return value;
  }
  void fail() { throw std::runtime_error("out of beans"); }
  using interface = ebb::interface<"test.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>,
                                   ebb::method<"get_later", &Counter::get_later>, ebb::method<"fail", &Counter::fail>>;
};

struct Other {
  using interface = ebb::interface<"test.Other/1">;
};

std::atomic<int> living_roots{0};
std::atomic<int> living_representatives{0};

struct Rooted {
  struct root {
    std::atomic<int> shared{0};
    root() { ++living_roots; }
    ~root() { --living_roots; }
  };
  explicit Rooted(root& node) : root_(node) { ++living_representatives; }
  ~Rooted() { --living_representatives; }
  int next() { return ++root_.shared; }
  root& root_;
  using interface = ebb::interface<"test.Rooted/1", ebb::method<"next", &Rooted::next>>;
};

std::atomic<int> attempts{0};
struct Stubborn {
  Stubborn() {
    if (++attempts == 1) throw std::runtime_error("not yet");
  }
  int get() const { return 7; }
  using interface = ebb::interface<"test.Stubborn/1", ebb::method<"get", &Stubborn::get>>;
};

// A constructor that gives up its core, so that other events of the core come in between.
std::atomic<int> slow_made{0};
ebb::task<void> pause() { co_await ebb::sleep_for(std::chrono::milliseconds(2)); }
struct Slow {
  Slow() {
    ++slow_made;
    ebb::block_on(pause());
  }
  int get() const { return 1; }
  using interface = ebb::interface<"test.Slow/1", ebb::method<"get", &Slow::get>>;
};

ebb::ObjectId narcissus;
struct Narcissus {
  Narcissus();
  int get() const { return 1; }
  using interface = ebb::interface<"test.Narcissus/1", ebb::method<"get", &Narcissus::get>>;
};
Narcissus::Narcissus() { static_cast<void>(ebb::ref<Narcissus>::unchecked(narcissus)->get()); }

void run(ebb::task<int> (*main)()) {
  EXPECT_EQ(ebb::run_cores(2, [main] { return ebb::testing::with_clean_end(main()); }), 0);
}

TEST(Object, HasARepresentativeOfItsOwnOnEachCore) {
  run([]() -> ebb::task<int> {
    auto counter = (co_await ebb::create<Counter>()).value();
    EXPECT_EQ(ebb::NodeTable::instance().cores_of(counter.id()), 0u) << "made before its first use";
    counter->add(1);
    (co_await counter.on(CoreIndex{1}).call<&Counter::add>(41)).value();
    EXPECT_EQ(counter->get(), 1);
    EXPECT_EQ((co_await counter.on(CoreIndex{1}).call<&Counter::get>()).value(), 41);
    EXPECT_EQ((co_await counter.on(CoreIndex{1}).call<&Counter::get_later>()).value(), 41);
    EXPECT_EQ(ebb::NodeTable::instance().cores_of(counter.id()), 3u);
    co_return 0;
  });
}

TEST(Object, IsReducedOverTheRepresentativesItHas) {
  run([]() -> ebb::task<int> {
    auto counter = (co_await ebb::create<Counter>()).value();
    auto sum = co_await counter.reduce<&Counter::get>(std::int64_t{5}, std::plus<>{});
    EXPECT_EQ(sum.value(), 5) << "no representative, nothing to add";
    counter->add(1);
    (co_await counter.on(CoreIndex{1}).call<&Counter::add>(41)).value();
    EXPECT_EQ((co_await counter.reduce<&Counter::get>(std::int64_t{0}, std::plus<>{})).value(), 42);
    EXPECT_EQ((co_await counter.reduce<&Counter::get_later>(std::int64_t{0}, std::plus<>{})).value(), 42);
    co_return 0;
  });
}

TEST(Object, SharesARootAmongTheCoresAndEndsWhole) {
  run([]() -> ebb::task<int> {
    auto rooted = (co_await ebb::create<Rooted>()).value();
    EXPECT_EQ(rooted->next(), 1);
    EXPECT_EQ((co_await rooted.on(CoreIndex{1}).call<&Rooted::next>()).value(), 2);
    EXPECT_EQ(living_roots, 1);
    EXPECT_EQ(living_representatives, 2);
    EXPECT_TRUE(co_await ebb::destroy(rooted));
    EXPECT_EQ(living_roots, 0);
    EXPECT_EQ(living_representatives, 0);
    EXPECT_EQ((co_await rooted.on(CoreIndex{1}).call<&Rooted::next>()).code(), Errc::no_such_object);
    EXPECT_EQ((co_await rooted.on(CoreIndex{0}).call<&Rooted::next>()).code(), Errc::no_such_object);
    EXPECT_EQ((co_await ebb::destroy(rooted)).code(), Errc::no_such_object);
    co_return 0;
  });
}

ebb::task<int> touch_from_afar(const std::vector<ebb::ref<Rooted>>* objects) {
  int reached = 0;
  for (const auto& object : *objects) {
    const auto result = co_await object.on(CoreIndex{1}).call<&Rooted::next>();
    if (result) {
      ++reached;
    } else {
      EXPECT_EQ(result.code(), Errc::no_such_object);
    }
  }
  co_return reached;
}
ebb::task<int> destroy_all(const std::vector<ebb::ref<Rooted>>* objects) {
  int destroyed = 0;
  for (const auto& object : *objects) destroyed += (co_await ebb::destroy(object)).has_value();
  co_return destroyed;
}
TEST(Object, EndsWholeWhileAnotherCoreTouchesItFirst) {
  run([]() -> ebb::task<int> {
    for (int round = 0; round < 50; ++round) {
      std::vector<ebb::ref<Rooted>> objects;
      for (int index = 0; index < 16; ++index) objects.push_back((co_await ebb::create<Rooted>()).value());
      // Half of them have a root already: an end must not take it from under the other core's constructor.
      for (int index = 0; index < 16; index += 2) static_cast<void>(objects[index]->next());
      auto [reached, destroyed] = co_await ebb::when_all(touch_from_afar(&objects), destroy_all(&objects));
      static_cast<void>(reached);
      EXPECT_EQ(destroyed, 16);
      EXPECT_EQ(living_roots, 0);
      EXPECT_EQ(living_representatives, 0);
    }
    co_return 0;
  });
}

// The same with the touching core in a tight loop of its own, so that the two meet within an access.
TEST(Object, EndsWholeUnderATightLoopOfTouches) {
  run([]() -> ebb::task<int> {
    for (int round = 0; round < 200; ++round) {
      auto object = (co_await ebb::create<Rooted>()).value();
      static_cast<void>(object->next());
      std::atomic<bool> going{false};
      auto touching = ebb::on_core(CoreIndex{1}, [object, &going] {
        going = true;
        try {
          static_cast<void>(object->next());
        } catch (const ebb::ErrorException& error) {
          EXPECT_EQ(error.error().code(), Errc::no_such_object);
        }
      });
      auto ending = [](ebb::ref<Rooted> target, std::atomic<bool>* started) -> ebb::task<void> {
        while (!*started) co_await ebb::yield();
        EXPECT_TRUE(co_await ebb::destroy(target));
      };
      co_await ebb::when_all(std::move(touching), ending(object, &going));
      EXPECT_EQ(living_roots, 0);
      EXPECT_EQ(living_representatives, 0);
    }
    co_return 0;
  });
}

TEST(Object, AnswersAFailingMethodWithItsTypeAndText) {
  run([]() -> ebb::task<int> {
    auto counter = (co_await ebb::create<Counter>()).value();
    const auto result = co_await counter.on(CoreIndex{1}).call<&Counter::fail>();
    EXPECT_EQ(result.code(), Errc::application_error);
    EXPECT_EQ(result.error().text(), "std::runtime_error: out of beans");
    EXPECT_EQ((co_await counter.on(CoreIndex{9}).call<&Counter::get>()).code(), Errc::not_found);
    co_return 0;
  });
}

TEST(ToError, NamesTheTypeOfWhatIsNoStdException) {
  const Counter thrown;
  const ebb::Error error = ebb::detail::to_error(std::make_exception_ptr(thrown));
  EXPECT_EQ(error.code(), Errc::application_error);
  EXPECT_EQ(error.text(), "(anonymous namespace)::Counter, which is no std::exception");
}

struct Mute : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

TEST(ToError, BearsAnExceptionWithoutAText) {
  const ebb::Error error = ebb::detail::to_error(std::make_exception_ptr(Mute()));
  EXPECT_EQ(error.code(), Errc::application_error);
  EXPECT_EQ(error.text(), "(anonymous namespace)::Mute: ");
}

TEST(ToError, TakesAnErrorThatIsThrownAsItIs) {
  const ebb::Error error = ebb::detail::to_error(std::make_exception_ptr(ebb::Error(Errc::not_found, "no such bean")));
  EXPECT_EQ(error.code(), Errc::not_found);
  EXPECT_EQ(error.text(), "no such bean");
}

TEST(Ref, IsAKeyOfMapsAndAMemberOfSets) {
  const auto first = ebb::ref<Counter>::unchecked(ebb::ObjectId(2000));
  const auto second = ebb::ref<Counter>::unchecked(ebb::ObjectId(2001));
  EXPECT_EQ(std::set({second, first, second}), (std::set{first, second}));
  EXPECT_EQ(*std::set({second, first}).begin(), first);
  EXPECT_EQ(std::unordered_set({second, first, second}).size(), 2u);
}

TEST(Object, IsNotReachedThroughAWrongTypeOrId) {
  run([]() -> ebb::task<int> {
    auto counter = (co_await ebb::create<Counter>()).value();
    EXPECT_EQ((co_await ebb::open<Other>(counter.id())).code(), Errc::interface_mismatch);
    EXPECT_EQ((co_await ebb::open<Counter>(ebb::ObjectId(4711))).code(), Errc::no_such_object);
    EXPECT_EQ((co_await ebb::open<Counter>(ebb::ObjectId(0xffff'ffff))).code(), Errc::no_such_object);
    EXPECT_EQ((co_await ebb::open<Counter>(counter.id())).value(), counter);
    EXPECT_THROW(static_cast<void>(*ebb::ref<Other>::unchecked(counter.id())), ebb::ErrorException);
    EXPECT_THROW(static_cast<void>(*ebb::ref<Counter>()), ebb::ErrorException);
    co_return 0;
  });
}

/// An object that this node has not met: the directory has it, as if another node had made it.
ebb::task<ebb::ref<Counter>> made_elsewhere() {
  ebb::NewObject wanted{"", Counter::interface::id, "per_core", ebb::kFrontEndNode};
  wanted.interface_name = Counter::interface::name;
  const auto record = (co_await ebb::NodeTable::instance().directory().create(std::move(wanted))).value();
  co_return ebb::ref<Counter>::unchecked(record.id);
}

TEST(Object, EndsOnlyByReferencesOfItsOwnType) {
  run([]() -> ebb::task<int> {
    const auto met = (co_await ebb::create<Counter>()).value();
    const auto unmet = co_await made_elsewhere();
    met->add(3);
    for (const auto& counter : {met, unmet}) {
      const auto wrong = ebb::ref<Other>::unchecked(counter.id());
      const auto refused = co_await ebb::destroy(wrong);
      EXPECT_EQ(refused.code(), Errc::interface_mismatch);
    }
    EXPECT_EQ((co_await ebb::drop(ebb::ref<Other>::unchecked(met.id()))).code(), Errc::interface_mismatch);
    EXPECT_EQ(met->get(), 3) << "its part went with the wrong destructor";
    EXPECT_EQ(unmet->get(), 0);
    EXPECT_EQ((co_await ebb::NodeTable::instance().end(met.id(), &ebb::detail::kTypeDescriptor<Other>)).code(), Errc::interface_mismatch);
    EXPECT_TRUE(co_await ebb::destroy(met));
    EXPECT_TRUE(co_await ebb::destroy(unmet));
    for (const auto& nothing : {met, unmet, ebb::ref<Counter>(), ebb::ref<Counter>::unchecked(ebb::ObjectId(4711))}) {
      EXPECT_EQ((co_await ebb::destroy(nothing)).code(), Errc::no_such_object) << nothing.id().index();
    }
    EXPECT_EQ((co_await ebb::drop(ebb::ref<Counter>())).code(), Errc::no_such_object);
    co_return 0;
  });
}

TEST(Object, IsTriedAgainAfterAConstructorThrew) {
  run([]() -> ebb::task<int> {
    auto stubborn = (co_await ebb::create<Stubborn>()).value();
    EXPECT_THROW(static_cast<void>(stubborn->get()), std::runtime_error);
    EXPECT_EQ(stubborn->get(), 7);
    EXPECT_EQ(attempts, 2);
    co_return 0;
  });
}

ebb::task<void> touch(ebb::ref<Slow> slow, int* sum) {
  *sum += slow->get();
  co_return;
}
TEST(Object, IsMadeOnceThoughItsConstructorGivesUpTheCore) {
  run([]() -> ebb::task<int> {
    slow_made = 0;
    auto slow = (co_await ebb::create<Slow>()).value();
    int sum = 0;
    ebb::Scope scope;
    for (int event = 0; event < 8; ++event) {
      ebb::spawn([slow, &sum, &scope] { scope.spawn(touch(slow, &sum)); });
    }
    while (sum < 8) co_await ebb::sleep_for(std::chrono::milliseconds(1));
    co_await scope.join();
    EXPECT_EQ(slow_made, 1);
    co_return 0;
  });
}

TEST(Object, ReportsAConstructorThatUsesTheObjectItMakes) {
  run([]() -> ebb::task<int> {
    auto self = (co_await ebb::create<Narcissus>()).value();
    narcissus = self.id();
    const auto result = co_await self.on(CoreIndex{1}).call<&Narcissus::get>();
    EXPECT_EQ(result.code(), Errc::internal);
    co_return 0;
  });
}

ebb::task<int> find_by_name() {
  const auto counter = (co_await ebb::create<Counter>("the counter")).value();
  counter->add(5);
  const auto found = (co_await ebb::find<Counter>("the counter")).value();
  EXPECT_EQ(found, counter);
  EXPECT_EQ((co_await ebb::create<Counter>("the counter")).code(), Errc::already_exists);
  EXPECT_EQ((co_await ebb::find<Other>("the counter")).code(), Errc::interface_mismatch);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ((co_await ebb::find<Counter>("the counter")).code(), Errc::no_such_object);
  co_return 0;
}
TEST(Object, IsFoundByItsName) { run([]() -> ebb::task<int> { return find_by_name(); }); }

// The id of an object that has ended, given out again.
ebb::task<int> reuse() {
  ebb::NodeTable& table = ebb::NodeTable::instance();
  const std::size_t before = table.known_objects();
  const auto first = (co_await ebb::create<Counter>()).value();
  first->add(5);
  EXPECT_TRUE(co_await ebb::destroy(first));
  EXPECT_EQ(table.type_of(first.id()), &ebb::detail::kTypeDescriptor<Counter>) << "forgotten at once";
  EXPECT_EQ((co_await table.directory().retire(first.id(), 1)).code(), Errc::invalid_argument) << "not told of the end";
  table.set_forget_after(ebb::platform::Duration::zero());
  EXPECT_EQ(table.type_of(first.id()), nullptr);
  EXPECT_EQ((co_await first.on(CoreIndex{1}).call<&Counter::get>()).code(), Errc::no_such_object);
  table.enter(first.id(), ebb::detail::kTypeDescriptor<Rooted>);
  const auto second = ebb::ref<Rooted>::unchecked(first.id());
  EXPECT_EQ(second->next(), 1);
  EXPECT_EQ((co_await second.on(CoreIndex{1}).call<&Rooted::next>()).value(), 2);
  EXPECT_TRUE(co_await table.end(second.id(), &ebb::detail::kTypeDescriptor<Rooted>));
  EXPECT_EQ(living_roots, 0);
  for (int i = 0; i < 200; ++i) {
    const auto next = (co_await ebb::create<Counter>()).value();
    next->add(1);
    EXPECT_TRUE(co_await ebb::destroy(next));
  }
  EXPECT_LT(table.known_objects(), before + 64) << "ended objects stay in memory";
  table.set_forget_after(ebb::NodeTable::kForgetAfter);
  co_return 0;
}
TEST(Object, LeavesItsPlaceToAnotherOnceItsEndIsForgotten) { run([]() -> ebb::task<int> { return reuse(); }); }

}  // namespace
