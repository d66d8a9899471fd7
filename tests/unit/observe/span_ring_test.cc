#include "src/observe/span_ring.h"

#include <gtest/gtest.h>

namespace {

using ebb::detail::EndedSpan;
using ebb::detail::SpanRing;

EndedSpan numbered(std::uint64_t number) {
  EndedSpan span;
  span.span = number;
  return span;
}

TEST(SpanRing, GivesTheOldestFirstUntilTheyAreConfirmed) {
  SpanRing ring(4);
  for (std::uint64_t i = 1; i <= 3; ++i) ring.push(numbered(i));
  for (int again = 0; again < 2; ++again) {
    const auto first = ring.read(2);
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ(first[0].span, 1u);
    EXPECT_EQ(first[1].span, 2u);
  }
  ring.forget(2);
  EXPECT_EQ(ring.size(), 1u);
  ASSERT_EQ(ring.read(10).size(), 1u);
  EXPECT_EQ(ring.read(10)[0].span, 3u);
  ring.forget(1);
  EXPECT_EQ(ring.first(), 2u) << "what is forgotten does not come back";
  ring.forget(100);
  EXPECT_EQ(ring.first(), 3u) << "spans that there are not yet are not forgotten";
  ring.push(numbered(4));
  EXPECT_EQ(ring.read(10).size(), 1u);
}

TEST(SpanRing, OverwritesTheOldestAndShowsThatByTheirNumbers) {
  SpanRing ring(4);
  for (std::uint64_t i = 1; i <= 10; ++i) ring.push(numbered(i));
  EXPECT_EQ(ring.size(), 4u);
  EXPECT_EQ(ring.first(), 6u);
  const auto left = ring.read(10);
  ASSERT_EQ(left.size(), 4u);
  EXPECT_EQ(left.front().span, 7u);
  EXPECT_EQ(left.back().span, 10u);
}

}  // namespace
