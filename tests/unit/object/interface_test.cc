#include "ebb/object/interface.h"

#include <gtest/gtest.h>

#include "ebb/object.h"
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

// A list and its members, of which one names the next: interfaces that name each other, in whichever order they are needed.
struct Member {
  void link(ebb::ref<Member> /*next*/) {}
  using interface = ebb::interface<"demo.Member/1", ebb::method<"link", &Member::link>>;
};
struct Team;
struct Coach {
  void train(ebb::ref<Team> /*whom*/) {}
  using interface = ebb::interface<"demo.Coach/1", ebb::method<"train", &Coach::train>>;
};
struct Team {
  void begin(ebb::ref<Member> /*first*/) {}
  void take(ebb::ref<Coach> /*whom*/) {}
  using interface = ebb::interface<"demo.Team/1", ebb::method<"begin", &Team::begin>, ebb::method<"take", &Team::take>>;
};
struct League {
  void enter(ebb::ref<Team> /*which*/) {}
  using interface = ebb::interface<"demo.League/1", ebb::method<"enter", &League::enter>>;
};

TEST(Interface, MayNameReferencesToItsOwnTypeAndInCircles) {
  EXPECT_EQ(ebb::detail::kTypeDescriptor<League>.methods.size(), 1u);
  EXPECT_EQ(ebb::detail::kTypeDescriptor<Team>.methods.size(), 2u);
  EXPECT_EQ(Member::interface::method_id<&Member::link>(), ebb::fnv1a("demo.Member/1#link(ref<demo.Member/1>,)"));
}

}  // namespace
