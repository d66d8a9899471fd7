#include "ebb/base/queue_depth.h"

#include <gtest/gtest.h>

namespace ebb::detail {
namespace {

constexpr CoreIndex kCore{3};

TEST(QueueDepth, AddsUpWhatQueuesHoldAndRemembersTheMostOfOne) {
  const DepthCell& cell = depth_of(Bounded::streams, kCore);
  {
    QueueDepth one(Bounded::streams, kCore, 10);
    QueueDepth other(Bounded::streams, kCore, 10);
    one.set(7);
    other.set(4);
    EXPECT_EQ(cell.now, 11u);
    one.set(2);
    EXPECT_EQ(cell.now, 6u);
    EXPECT_EQ(cell.most, 7u);
    EXPECT_EQ(cell.bound, 10u);
  }
  EXPECT_EQ(cell.now, 0u);
  EXPECT_EQ(cell.most, 7u);
}

TEST(QueueDepth, IsOfOneCoreAndOneKind) {
  QueueDepth depth(Bounded::collectives, kCore, 5);
  depth.set(2);
  EXPECT_EQ(depth_of(Bounded::collectives, CoreIndex{4}).most, 0u);
  EXPECT_EQ(depth_of(Bounded::remembered_collectives, kCore).most, 0u);
}

}  // namespace
}  // namespace ebb::detail
