// The fuzzer's harness with inputs from a seeded generator, so that it never rots.
#include <gtest/gtest.h>

#include "tests/fuzz/net/frames.h"
#include "tests/unit/net/world.h"

namespace {

TEST(HostileFrames, NeitherCrashNorLeakNorHang) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string bytes = net_test::pattern(400, seed);
    net_fuzz::play(std::as_bytes(std::span(bytes)));
  }
}

}  // namespace
