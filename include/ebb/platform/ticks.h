// A counter that costs less to read than platform::Clock, for durations that are measured in passing.
#pragma once

#include <cstdint>

namespace ebb::platform {

/// Counts up at a constant rate of its own while the machine runs, from an arbitrary start; 0 where there is no such counter.
/// On x86-64 the invariant TSC [SDM vol. 3, 17.17.1]. Compare readings of one core only. Any thread; some 10 ns.
std::uint64_t ticks() noexcept;

}  // namespace ebb::platform
