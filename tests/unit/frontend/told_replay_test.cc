// The fuzzer's harness on seeded input: sound batches and histograms, some with changed bytes.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "ebb/wire/codec.h"
#include "src/observe/observer_service.h"
#include "tests/fuzz/observe/told.h"

namespace ebb::frontend::observe {
namespace {

std::string name(std::mt19937& random) {
  std::string text(random() % 300, 'a');
  for (char& each : text) each = static_cast<char>(random());
  return text;
}

std::vector<std::byte> spans(std::mt19937& random) {
  detail::SpanBatch batch;
  for (std::size_t names = random() % 4; names != 0; --names) batch.names.push_back(name(random));
  for (std::size_t count = random() % 40; count != 0; --count) {
    batch.spans.push_back({0, random() % 4, random(), random() % 8, std::int64_t{1} << random() % 64, std::int64_t{1} << random() % 64,
                           ObjectId(random() % 9), static_cast<std::uint32_t>(random() % 5), CoreIndex{0}, NodeId{1},
                           static_cast<detail::SpanKind>(random() % 5), static_cast<Errc>(random() % 300)});
  }
  return wire::encode(batch);
}

std::vector<std::byte> methods(std::mt19937& random) {
  std::vector<detail::MethodRecord> records(random() % 10);
  for (detail::MethodRecord& record : records) {
    record = {name(random), name(random), random(), random(), random(), random(), {}};
    for (std::size_t buckets = random() % 9; buckets != 0; --buckets) {
      record.buckets.emplace_back(static_cast<std::uint16_t>(random() % 400), std::uint64_t{1} << random() % 64);
    }
  }
  return wire::encode(records);
}

void check(std::byte kind, std::vector<std::byte> told, std::mt19937& random) {
  told.insert(told.begin(), kind);
  fuzz::check_told(told);
  for (std::size_t changes = random() % 4; changes != 0; --changes) told[random() % told.size()] = static_cast<std::byte>(random());
  fuzz::check_told(told);
}

TEST(WhatNodesTell, OfSpansIsReadWhateverItIs) {
  std::mt19937 random(31);
  for (int round = 0; round < 1000; ++round) check(std::byte{0}, spans(random), random);
}

TEST(WhatNodesTell, OfMethodsIsReadWhateverItIs) {
  std::mt19937 random(32);
  for (int round = 0; round < 1000; ++round) check(std::byte{1}, methods(random), random);
}

}  // namespace
}  // namespace ebb::frontend::observe
