// How long a node is looked for whose connection was lost.
#pragma once

#include <cstddef>

#include "ebb/async/task.h"
#include "ebb/object/node_link.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// The attempts to reach a node before it counts as gone. One by one they may find each of the connections lost that there were, and
/// where none listens any more they fail at once. But what breaks connections (a network, not the node) may break the next ones
/// too, a moment later: so there are pauses between the first attempts, from 1 to 16 ms, and some 35 ms in all. A node that has
/// ended is found gone that much later.
class Search {
 public:
  /// `attempts`: as many as it takes to find each connection lost, at least.
  explicit Search(std::size_t attempts) noexcept : attempts_(attempts) {}

  /// After an attempt that has failed: whether there is to be another one, and when.
  task<bool> again() {
    const std::size_t failed = failed_++;
    if (failed < kPauses) co_return co_await pause_before_retry(static_cast<int>(failed), platform::kNever);
    co_return failed_ < attempts_;
  }

 private:
  static constexpr std::size_t kPauses = 5;
  const std::size_t attempts_;
  std::size_t failed_ = 0;
};

}  // namespace ebb::detail
