// Where process nodes are put on the CPUs of a machine.
#include "frontend/nodes/process/cpu_placement.h"

#include <gtest/gtest.h>

namespace ebb::frontend::nodes {
namespace {

TEST(CpuPlacement, KeepsNodesApartWhileThereAreCpus) {
  CpuPlacement placement(8, 0, 2);
  EXPECT_EQ(placement.take(3), 2u);
  EXPECT_EQ(placement.take(3), 5u);
}

TEST(CpuPlacement, KeepsTheFirstCoresApartWhereAllCpusAreShared) {
  CpuPlacement placement(2, 0, 2);
  EXPECT_EQ(placement.take(2), 1u);
  EXPECT_EQ(placement.take(2), 0u);
  EXPECT_EQ(placement.take(2), 1u);
}

TEST(CpuPlacement, GoesAroundTheLastCpu) {
  CpuPlacement placement(4, 1, 2);
  EXPECT_EQ(placement.take(2), 3u);
  EXPECT_EQ(placement.take(1), 0u) << "each CPU has a core; nobody's first one is here";
}

TEST(CpuPlacement, GivesPlacesOfEndedNodesAgain) {
  CpuPlacement placement(4, 0, 1);
  EXPECT_EQ(placement.take(1), 1u);
  EXPECT_EQ(placement.take(1), 2u);
  EXPECT_EQ(placement.take(1), 3u);
  placement.give_back(2, 1);
  EXPECT_EQ(placement.take(1), 2u);
}

TEST(CpuPlacement, TakesMoreCoresThanThereAreCpus) {
  CpuPlacement placement(2, 0, 64);
  const std::size_t first = placement.take(64);
  EXPECT_EQ(first, 1u);
  placement.give_back(first, 64);
  EXPECT_EQ(placement.take(64), 1u);
  CpuPlacement alone(1, 5, 1);
  EXPECT_EQ(alone.take(1), 0u);
}

}  // namespace
}  // namespace ebb::frontend::nodes
