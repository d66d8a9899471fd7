// What a core notes of the calls that it makes and carries out.
#pragma once

#include <cstdint>

#include "src/observe/method_table.h"
#include "src/observe/span_ring.h"
#include "src/observe/stopwatch.h"

namespace ebb::detail {

/// Numbers nobody else draws, for ids of traces and spans: SplitMix64 from a random start.
class IdGenerator {
 public:
  std::uint64_t next() noexcept;

 private:
  std::uint64_t state_ = 0;  // 0: not begun
};

/// One a core of a node, used there only; there from the core's first call until the process ends.
struct CoreRecorder {
  Stopwatch stopwatch;
  MethodTable methods;
  SpanRing spans;
  IdGenerator ids;

  /// That of the calling core; nullptr on a thread that is no core, and while there is no memory for it.
  static CoreRecorder* own() noexcept;
};

}  // namespace ebb::detail
