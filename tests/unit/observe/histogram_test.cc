#include "src/observe/histogram.h"

#include <gtest/gtest.h>

namespace {

using ebb::detail::HistogramBuckets;

TEST(Histogram, HasABucketForEveryDurationAndOnlyOne) {
  EXPECT_EQ(HistogramBuckets::lower(0), 0u);
  for (std::size_t at = 0; at + 1 < HistogramBuckets::kCount; ++at) {
    EXPECT_EQ(HistogramBuckets::upper(at), HistogramBuckets::lower(at + 1));
    EXPECT_EQ(HistogramBuckets::index(HistogramBuckets::lower(at)), at);
    EXPECT_EQ(HistogramBuckets::index(HistogramBuckets::upper(at) - 1), at);
  }
  EXPECT_EQ(HistogramBuckets::index(~std::uint64_t{0}), HistogramBuckets::kCount - 1);
}

TEST(Histogram, MistakesADurationByAnEighthAtMost) {
  for (std::size_t at = HistogramBuckets::kSteps; at + 1 < HistogramBuckets::kCount; ++at) {
    const std::uint64_t width = HistogramBuckets::upper(at) - HistogramBuckets::lower(at);
    EXPECT_LE(width * HistogramBuckets::kSteps, HistogramBuckets::lower(at)) << "bucket " << at;
  }
}

}  // namespace
