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
/// A time or span that is not negative in nanoseconds; saturates, after 584 years.
inline std::uint64_t to_ns(std::int64_t seconds, std::int64_t nanoseconds) noexcept {
  constexpr std::uint64_t kNanoseconds = 1'000'000'000;
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  if (static_cast<std::uint64_t>(seconds) >= kMost / kNanoseconds) return kMost;
  return static_cast<std::uint64_t>(seconds) * kNanoseconds + static_cast<std::uint64_t>(nanoseconds);
}
/// The point in now_ns() of a time since 1970; 0 for all that lies before the counter's start.
inline std::uint64_t ns_at_wall_clock(std::uint64_t since_1970_ns) noexcept {
  return since_1970_ns > wall_clock_offset_ns() ? since_1970_ns - wall_clock_offset_ns() : 0;
}

/// Waits by looking at the clock: for the start of other processors.
void spin_us(std::uint64_t microseconds) noexcept;

}  // namespace kernel::cpu
