// The fuzzer's harness on seeded input: proper frames, frames with changed bytes, plain garbage; whole and in pieces.
#include <gtest/gtest.h>

#include <random>

#include "ebb/base/bytes.h"
#include "src/messenger/frame.h"
#include "tests/fuzz/messenger/connection_harness.h"

namespace {

using namespace ebb;
using namespace ebb::messenger;

Bytes frames(std::mt19937& random) {
  const auto number = [&random] { return static_cast<std::uint32_t>(random()); };
  Bytes input{static_cast<std::byte>(random())};
  for (std::size_t count = random() % 20; count != 0; --count) {
    FrameHeader header{number() % 200, FrameType::call, static_cast<std::uint16_t>(number()), number(), number(), number(), number()};
    // Of calls that wait for them, or not.
    if (random() % 4 == 0) header = {number() % 200, FrameType::reply, 0, number() % 5, 0, 0, 0};
    if (random() % 8 == 0) header = {number() % 200, FrameType::error, static_cast<std::uint16_t>(number() % 20), number() % 5, 0, 0, 0};
    if (random() % 8 == 0) header = {0, FrameType::cancel, 0, number() % 5, 0, 0, 0};
    if (random() % 8 == 0) header = {};
    if (random() % 16 == 0) header = {.type = FrameType::goodbye};
    const auto head = encode(header);
    input.insert(input.end(), head.begin(), head.end());
    for (std::uint32_t i = 0; i < header.payload_bytes; ++i) input.push_back(static_cast<std::byte>(random()));
  }
  return input;
}

TEST(Connection, TakesFramesInPiecesAsItTakesThemWhole) {
  std::mt19937 random(20);
  for (int round = 0; round < 3000; ++round) fuzz::check(frames(random));
}

TEST(Connection, SurvivesChangedBytesAndGarbage) {
  std::mt19937 random(21);
  for (int round = 0; round < 3000; ++round) {
    Bytes input = frames(random);
    for (std::size_t changes = random() % 4; changes != 0; --changes) {
      input[random() % input.size()] = static_cast<std::byte>(random());
    }
    fuzz::check(input);
    for (std::byte& each : input) each = static_cast<std::byte>(random());
    fuzz::check(input);
  }
}

}  // namespace
