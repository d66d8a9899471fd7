// The local APIC of each processor: timer, interrupts between processors (SDM vol. 3, chapter 11).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::cpu {

/// Turns the calling processor's APIC on. On processor 0 also finds out how (xAPIC or x2APIC).
void set_up_apic() noexcept;

void apic_end_of_interrupt() noexcept;
std::uint32_t own_apic_id() noexcept;

/// Interrupts another processor with `vector`.
void send_interrupt(std::size_t processor, std::uint8_t vector) noexcept;
/// INIT, or start-up at `page` (physical address / 4096), for a processor by its APIC id.
void send_init(std::uint32_t apic_id) noexcept;
void send_startup(std::uint32_t apic_id, std::uint8_t page) noexcept;

/// One interrupt (kTimerVector) when the TSC has reached `tsc`, or soon if it has; replaces the one set before.
void set_timer(std::uint64_t tsc) noexcept;

/// How many ticks of the APIC timer pass per 2^32 of the TSC, for set_timer(); from calibrate().
void set_timer_ratio(std::uint64_t apic_ticks_per_tsc_shifted) noexcept;
/// The APIC timer's present count, for calibration: counts down from 2^32 - 1.
void start_timer_count() noexcept;
std::uint32_t timer_count() noexcept;

/// Processors by number. Filled while they start.
std::uint32_t apic_id_of(std::size_t processor) noexcept;
void register_processor(std::size_t processor, std::uint32_t apic_id) noexcept;
std::size_t processor_count() noexcept;
/// Takes back those from `count` on.
void unregister_processors(std::size_t count) noexcept;

}  // namespace kernel::cpu
