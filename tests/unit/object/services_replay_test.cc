// The fuzzer's harness on seeded input: calls of the runtime's own objects, as a broken node might make them.
#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <vector>

#include "tests/fuzz/object/services.h"

namespace ebb::detail {
namespace {

TEST(RuntimeObjects, SurviveWhateverAnotherNodeAsks) {
  std::mt19937 random(41);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::byte> input(random() % 400);
    for (std::byte& each : input) each = static_cast<std::byte>(random());
    fuzz::play(input);
  }
}

}  // namespace
}  // namespace ebb::detail
