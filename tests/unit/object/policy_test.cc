// Kinds of objects: which parts there are, and that a policy of one's own decides about them.
#include "ebb/object/policy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};

struct Shared {
  using policy = ebb::per_node;
  Shared() { ++alive; }
  ~Shared() { --alive; }
  std::atomic<std::int64_t> value{0};
  std::uint64_t where() const { return reinterpret_cast<std::uint64_t>(this); }
  void add(std::int64_t n) { value += n; }
  std::int64_t get() const { return value; }
  using interface = ebb::interface<"test.Shared/1", ebb::method<"where", &Shared::where>, ebb::method<"add", &Shared::add>,
                                   ebb::method<"get", &Shared::get>>;
};

ebb::task<int> share() {
  const auto shared = (co_await ebb::create<Shared>()).value();
  shared->add(1);
  EXPECT_TRUE(co_await shared.on(CoreIndex{1}).call<&Shared::add>(41));
  EXPECT_EQ((co_await shared.on(CoreIndex{1}).call<&Shared::where>()).value(), shared->where());
  EXPECT_EQ(shared->get(), 42);
  EXPECT_EQ(alive, 1);
  EXPECT_TRUE(co_await ebb::destroy(shared));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await shared.on(CoreIndex{1}).call<&Shared::get>()).code(), Errc::no_such_object);
  co_return 0;
}

TEST(PerNode, HasOneInstanceThatAllCoresCall) { run(share); }

// A policy that no library foresaw: even cores have representatives of their own, odd ones look at core 0's.
std::atomic<int> handled{0};
struct pairs : ebb::per_core {
  static constexpr std::string_view name = "test.pairs";
  template <class T>
  using pointer = const T*;
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ebb::ObjectId) {
    return new T();
  }
  template <class T>
  static void end_root(void* root) {
    delete static_cast<T*>(root);
  }
  template <class T>
  static T* on_miss(ebb::ObjectId, void* root) {
    ++handled;
    return ebb::to_number(ebb::Core::current().index()) % 2 == 0 ? new T() : static_cast<T*>(root);
  }
  template <class T>
  static void end_representative(T* representative, void* root) {
    if (representative != root) delete representative;
  }
};

struct Paired {
  using policy = pairs;
  Paired() { ++alive; }
  ~Paired() { --alive; }
  int get() const { return 7; }
  using interface = ebb::interface<"test.Paired/1", ebb::method<"get", &Paired::get>>;
};

ebb::task<int> pair() {
  const auto paired = (co_await ebb::create<Paired>()).value();
  static_assert(std::is_same_v<decltype(*paired), const Paired&>);
  EXPECT_EQ(paired->get(), 7);
  EXPECT_EQ(paired->get(), 7);
  EXPECT_EQ((co_await paired.on(CoreIndex{1}).call<&Paired::get>()).value(), 7);
  EXPECT_EQ(handled, 2) << "one miss a core";
  EXPECT_EQ(alive, 2) << "the root, and core 0's";
  EXPECT_TRUE(co_await ebb::destroy(paired));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Policy, OfAUserHandlesTheMissAndSaysWhatAReferenceGives) { run(pair); }

struct forgetful : ebb::per_core {
  static constexpr std::string_view name = "test.forgetful";
  template <class T>
  static T* on_miss(ebb::ObjectId, void*) {
    return nullptr;
  }
};

struct Forgotten {
  using policy = forgetful;
  int get() const { return 7; }
  using interface = ebb::interface<"test.Forgotten/1", ebb::method<"get", &Forgotten::get>>;
};

ebb::task<int> forget() {
  const auto object = (co_await ebb::create<Forgotten>()).value();
  const auto answer = co_await object.call<&Forgotten::get>();
  EXPECT_EQ(answer.code(), ebb::Errc::internal);
  EXPECT_NE(answer.error().text().find("on_miss() of its kind, test.forgetful, gave nullptr"), std::string::npos) << answer.error().text();
  EXPECT_TRUE(co_await ebb::destroy(object));
  co_return 0;
}

TEST(Policy, MustMakeARepresentative) { run(forget); }

/// One instance, which its own core may read where it is, and nobody but its methods changes.
struct glass : ebb::single_home {
  static constexpr std::string_view name = "test.glass";
  template <class T>
  using pointer = const T*;
};
struct Meter {
  using policy = glass;
  std::int64_t value = 0;
  void set(std::int64_t next) { value = next; }
  std::int64_t get() const { return value; }
  using interface = ebb::interface<"test.GlassMeter/1", ebb::method<"set", &Meter::set>, ebb::method<"get", &Meter::get>>;
};

ebb::task<int> read_only() {
  for (const CoreIndex home : {CoreIndex{0}, CoreIndex{1}}) {
    const auto meter = (co_await ebb::create_at<Meter>(ebb::this_node(), home)).value();
    EXPECT_TRUE(co_await meter.call<&Meter::set>(7)) << "called itself without end";
    EXPECT_EQ((co_await meter.call<&Meter::get>()).value(), 7);
    EXPECT_TRUE(co_await meter.on_home().call<&Meter::set>(8));
    if (home == CoreIndex{0}) {
      EXPECT_EQ(meter->get(), 8);
    }
    EXPECT_TRUE(co_await ebb::destroy(meter));
  }
  co_return 0;
}

TEST(Policy, MayGiveConstantReferencesToWhatHasAHome) { EXPECT_EQ(run(read_only), 0); }

}  // namespace
