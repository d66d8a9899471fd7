// Time: the time-stamp counter, scaled to nanoseconds.
#pragma once

#include <cstdint>

namespace kernel::cpu {

/// Finds the counter's frequency: from CPUID where the processor or the hypervisor tells it, else by measuring 2 ms
/// against the old timer chip (Intel 8254). Processor 0, at boot, after set_up_apic().
void calibrate_clock() noexcept;

/// Nanoseconds since the counter started. Any core; the counters of a machine's cores run together.
std::uint64_t now_ns() noexcept;
/// The counter's value at that time; saturates.
std::uint64_t tsc_at(std::uint64_t ns) noexcept;
std::uint64_t tsc_hertz() noexcept;

/// What to add to now_ns() for nanoseconds since 1970 (UTC), as the battery-backed clock said at boot; to the second.
std::uint64_t wall_clock_offset_ns() noexcept;

/// Waits by looking at the clock: for the start of other processors.
void spin_us(std::uint64_t microseconds) noexcept;

}  // namespace kernel::cpu
