#include "ebb/object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "ebb/async.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::ObjectId;

struct Tally {
  std::int64_t value = 0;
  std::int64_t add(std::int64_t count) { return value += count; }
  using interface = ebb::interface<"test.Tally/1", ebb::method<"add", &Tally::add>>;
};
struct Till {
  std::int64_t value = 0;
  std::int64_t add(std::int64_t count) { return value += count; }
  using policy = ebb::single_home;
  using interface = ebb::interface<"test.Till/1", ebb::method<"add", &Till::add>>;
};

inline constexpr ebb::static_object<Tally, 100> kTally;
inline constexpr ebb::static_object<Till, 101> kTill;
inline constexpr ebb::static_object<Till, 1023> kOther;
// Never called through this definition: that it is written must be enough.
[[maybe_unused]] inline constexpr ebb::static_object<Tally, 64> kUnused;

void run(ebb::task<int> (*main)()) {
  EXPECT_EQ(ebb::run_cores(2, [main] { return ebb::testing::with_clean_end(main()); }), 0);
}

ebb::task<int> use() {
  EXPECT_EQ(kTally->add(2), 2);
  const auto other = co_await kTally.on(CoreIndex{1}).call<&Tally::add>(3);
  EXPECT_EQ(other.value(), 3) << "another core has another representative";
  EXPECT_EQ((co_await kTill.call<&Till::add>(4)).value(), 4);
  EXPECT_EQ((co_await kTill.call<&Till::add>(4)).value(), 8);
  const auto opened = (co_await ebb::open<Tally>(ObjectId(100))).value();
  EXPECT_EQ(opened->add(1), 3);
  EXPECT_EQ((co_await ebb::open<Till>(ObjectId(100))).code(), Errc::interface_mismatch);
  co_return 0;
}
TEST(StaticObject, IsThereWithoutBeingCreated) { run(use); }

ebb::task<int> collide() {
  const auto tally = ebb::ref<Tally>::unchecked(ObjectId(102));
  const auto till = ebb::ref<Till>::unchecked(ObjectId(102));
  EXPECT_EQ((co_await ebb::open<Tally>(ObjectId(102))).code(), Errc::invalid_argument);
  EXPECT_EQ((co_await till.call<&Till::add>(1)).code(), Errc::invalid_argument);
  EXPECT_EQ((co_await tally.on(CoreIndex{1}).call<&Tally::add>(1)).code(), Errc::invalid_argument);
  co_return 0;
}

ebb::task<int> refuse() {
  const ebb::ref<Till> till = kOther;
  EXPECT_EQ((co_await ebb::destroy(till)).code(), Errc::invalid_argument);
  EXPECT_EQ((co_await till.call<&Till::add>(1)).value(), 1);
  EXPECT_EQ((co_await ebb::open<Tally>(ObjectId(200))).code(), Errc::no_such_object);
  EXPECT_EQ((co_await ebb::open<Tally>(ObjectId(1))).code(), Errc::no_such_object);
  co_return 0;
}
TEST(StaticObject, CannotBeDestroyed) { run(refuse); }

TEST(StaticObject, IsOnTheProgramsListOnceItIsDefined) {
  const auto record = ebb::detail::StaticRegistration::find(ObjectId(64));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->interface_name, "test.Tally/1");
  EXPECT_EQ(record->policy, "per_core");
  EXPECT_EQ(ebb::detail::StaticRegistration::find_collision(), "");
}

// Last: what it puts on the list stays there.
TEST(StaticObject, IsNamedWhenAnotherTypeHasItsId) {
  static const ebb::detail::StaticRegistration second(ObjectId(100), ebb::detail::kTypeDescriptor<Till>);
  EXPECT_THAT(ebb::detail::StaticRegistration::find_collision(),
              testing::AllOf(testing::HasSubstr("test.Tally/1"), testing::HasSubstr("test.Till/1"), testing::HasSubstr("100")));
  // Where no cluster is started nothing else tells.
  static const ebb::detail::StaticRegistration one(ObjectId(102), ebb::detail::kTypeDescriptor<Till>);
  static const ebb::detail::StaticRegistration another(ObjectId(102), ebb::detail::kTypeDescriptor<Tally>);
  run(collide);
}

}  // namespace
