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

TEST(SpanRing, GivesEachSpanOnceOldestFirst) {
  SpanRing ring(4);
  for (std::uint64_t i = 1; i <= 3; ++i) ring.push(numbered(i));
  const auto first = ring.take(2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].span, 1u);
  EXPECT_EQ(first[1].span, 2u);
  EXPECT_EQ(ring.size(), 1u);
  EXPECT_EQ(ring.take(10).size(), 1u);
  EXPECT_TRUE(ring.take(10).empty());
  EXPECT_EQ(ring.dropped(), 0u);
}

TEST(SpanRing, OverwritesTheOldestAndCountsThem) {
  SpanRing ring(4);
  for (std::uint64_t i = 1; i <= 10; ++i) ring.push(numbered(i));
  EXPECT_EQ(ring.size(), 4u);
  EXPECT_EQ(ring.dropped(), 6u);
  const auto left = ring.take(10);
  ASSERT_EQ(left.size(), 4u);
  EXPECT_EQ(left.front().span, 7u);
  EXPECT_EQ(left.back().span, 10u);
}

}  // namespace
