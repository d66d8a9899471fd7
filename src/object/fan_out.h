// The tree of a collective call: how those that are asked are cut into parts, and how parts of an answer meet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "ebb/object/collective.h"

namespace ebb::detail {

/// Cuts `all` into at most kFanOut runs whose lengths differ by no more than one; of nothing there are none.
template <class T>
std::vector<std::vector<T>> split(std::span<const T> all) {
  const std::size_t count = std::min(all.size(), kFanOut);
  std::vector<std::vector<T>> runs;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = all.size() * i / count;
    const std::span<const T> run = all.subspan(from, all.size() * (i + 1) / count - from);
    runs.emplace_back(run.begin(), run.end());
  }
  return runs;
}

/// The parts, at least one, as one. interface_mismatch: this program has no such operation.
Result<Bytes> fold(std::uint64_t operation, std::vector<Bytes> parts);

}  // namespace ebb::detail
