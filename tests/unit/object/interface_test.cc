#include "ebb/object/interface.h"

#include <gtest/gtest.h>

#include "ebb/object/type.h"

namespace {

struct Counter {
  std::int64_t value = 0;
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  using interface = ebb::interface<"demo.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>>;
};
struct NoInterface {};

static_assert(ebb::object_type<Counter>);
static_assert(!ebb::object_type<NoInterface>);
static_assert(!ebb::object_type<int>);

TEST(Interface, IdsComeFromNamesAndTheTypesThatTravel) {
  // FNV-1a, 64 bits, of the name; any compiler and any other language must arrive at the same numbers.
  EXPECT_EQ(ebb::fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(ebb::fnv1a("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(ebb::fnv1a("foobar"), 0x85944171f73967e8u);
  EXPECT_EQ(Counter::interface::id, ebb::fnv1a("demo.Counter/1"));
  EXPECT_EQ(Counter::interface::method_id<&Counter::add>(), ebb::fnv1a("demo.Counter/1#add(i64,)"));
  EXPECT_EQ(Counter::interface::method_id<&Counter::get>(), ebb::fnv1a("demo.Counter/1#get()i64"));
  EXPECT_NE(Counter::interface::method_id<&Counter::add>(), Counter::interface::method_id<&Counter::get>());
}

}  // namespace
