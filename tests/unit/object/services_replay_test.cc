// The fuzzer's harness on seeded input: calls of the runtime's own objects, as a broken node might make them.
#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <vector>

#include "ebb/object/pipeline.h"
#include "src/object/collective_service.h"
#include "src/object/home_service.h"
#include "src/object/parcel.h"
#include "src/object/partition_service.h"
#include "src/object/replica_service.h"
#include "src/observe/observer_service.h"
#include "tests/fuzz/object/services.h"

namespace ebb::detail {
namespace {

TEST(RuntimeObjects, SurviveWhateverAnotherNodeAsks) {
  std::mt19937 random(41);
  for (int round = 0; round < 4000; ++round) {
    std::vector<std::byte> input(random() % 400);
    for (std::byte& each : input) each = static_cast<std::byte>(random());
    fuzz::play(input);
  }
  // None of the runtime's own objects has gone, or refuses all that it is asked.
  for (const ObjectId service : {kHomeService.id(), kReplicaService.id(), kPartitionService.id(), kCollectiveService.id(),
                                 kParcelService.id(), kPipelineService.id(), kStreamService.id(), kObserver.id()}) {
    EXPECT_GE(fuzz::ran()[service], 30u) << "object " << service.index();
  }
}

}  // namespace
}  // namespace ebb::detail
