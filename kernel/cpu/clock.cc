#include "kernel/cpu/clock.h"

#include "kernel/cpu/apic.h"
#include "kernel/cpu/instructions.h"

namespace kernel::cpu {
namespace {

constexpr std::uint64_t kNanoseconds = 1'000'000'000;

std::uint64_t hertz = 0;
std::uint64_t ns_per_tick = 0;  // 32 fraction bits
std::uint64_t ticks_per_ns = 0;

std::uint64_t scale(std::uint64_t value, std::uint64_t factor) noexcept {
  return static_cast<std::uint64_t>(static_cast<Wide>(value) * factor >> 32);
}

// SDM vol. 2, CPUID leaf 15H; and the leaf in which hypervisors give kHz (VMware's timing leaf, which QEMU follows).
std::uint64_t told_frequency() noexcept {
  if (cpuid(0).eax >= 0x15) {
    const Cpuid crystal = cpuid(0x15);
    if (crystal.eax != 0 && crystal.ebx != 0 && crystal.ecx != 0) return std::uint64_t{crystal.ecx} * crystal.ebx / crystal.eax;
  }
  constexpr std::uint32_t kHypervisor = 1u << 31;
  if ((cpuid(1).ecx & kHypervisor) && cpuid(0x4000'0000).eax >= 0x4000'0010) {
    return std::uint64_t{cpuid(0x4000'0010).eax} * 1000;
  }
  return 0;
}

std::uint64_t wall_offset = 0;

std::uint8_t read_cmos(std::uint8_t at) noexcept {
  out8(0x70, at);
  return in8(0x71);
}

// The MC146818's registers; read until two readings agree, for it may be about to tick.
std::uint64_t read_wall_clock() noexcept {
  std::uint8_t fields[6];
  std::uint8_t again[6];
  constexpr std::uint8_t kRegisters[6] = {0, 2, 4, 7, 8, 9};  // second, minute, hour, day, month, year
  bool same = false;
  for (int attempt = 0; attempt < 10 && !same; ++attempt) {
    for (int i = 0; i < 6; ++i) fields[i] = read_cmos(kRegisters[i]);
    same = true;
    for (int i = 0; i < 6; ++i) {
      again[i] = read_cmos(kRegisters[i]);
      same = same && again[i] == fields[i];
    }
  }
  constexpr std::uint8_t kBinary = 4;
  if ((read_cmos(0xb) & kBinary) == 0) {
    for (std::uint8_t& field : fields) field = static_cast<std::uint8_t>((field >> 4) * 10 + (field & 15));
  }
  // Days since 1970 of a date after 2000: whole years, leap days, months.
  constexpr std::uint16_t kDaysBefore[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  const std::uint64_t years = 30u + fields[5];
  const std::uint8_t month = fields[4] >= 1 && fields[4] <= 12 ? fields[4] : 1;
  std::uint64_t days = years * 365 + (years + 1) / 4 + kDaysBefore[month - 1] + fields[3] - 1u;
  if (month > 2 && fields[5] % 4 == 0) ++days;
  return (((days * 24) + fields[2]) * 60 + fields[1]) * 60 + fields[0];
}

struct Sample {
  std::uint64_t tsc;
  std::uint32_t timer_chip;  // counts down
  std::uint32_t apic;        // counts down
};

// Channel 2 of the timer chip, which no interrupt hangs on: counts down from 65,536 at 1,193,182 Hz once.
constexpr std::uint64_t kChipHertz = 1'193'182;

void start_timer_chip() noexcept {
  out8(0x61, static_cast<std::uint8_t>((in8(0x61) & 0xfd) | 1));  // gate on, speaker off
  out8(0x43, 0xb0);                                               // channel 2, both bytes, mode 0
  out8(0x42, 0xff);
  out8(0x42, 0xff);
}

// The reading that took least time of a few: whoever is interrupted between its parts measures nonsense.
Sample sample() noexcept {
  Sample best{};
  std::uint64_t shortest = ~std::uint64_t{0};
  for (int attempt = 0; attempt < 5; ++attempt) {
    const std::uint64_t before = read_tsc();
    out8(0x43, 0x80);  // latch channel 2
    std::uint32_t chip = in8(0x42);
    chip |= static_cast<std::uint32_t>(in8(0x42)) << 8;
    const std::uint32_t apic = timer_count();
    const std::uint64_t after = read_tsc();
    if (after - before < shortest) {
      shortest = after - before;
      best = {before + (after - before) / 2, chip, apic};
    }
  }
  return best;
}

}  // namespace

void calibrate_clock() noexcept {
  constexpr std::uint32_t kWindow = kChipHertz / 500;  // 2 ms
  start_timer_chip();
  start_timer_count();
  const Sample first = sample();
  Sample last = first;
  // Without the chip (a machine may lack it) the count does not move: a bound, then a guess that CPUID corrects.
  for (int attempt = 0; attempt < 100'000 && first.timer_chip - last.timer_chip < kWindow; ++attempt) last = sample();
  const std::uint64_t chip_ticks = first.timer_chip - last.timer_chip;
  const std::uint64_t tsc_ticks = last.tsc - first.tsc;
  hertz = told_frequency();
  if (hertz == 0) hertz = chip_ticks >= kWindow ? tsc_ticks * kChipHertz / chip_ticks : kNanoseconds;
  ns_per_tick = static_cast<std::uint64_t>((static_cast<Wide>(kNanoseconds) << 32) / hertz);
  ticks_per_ns = static_cast<std::uint64_t>((static_cast<Wide>(hertz) << 32) / kNanoseconds);
  const std::uint64_t apic_ticks = first.apic - last.apic;
  set_timer_ratio(tsc_ticks == 0 ? std::uint64_t{1} << 32 : (apic_ticks << 32) / tsc_ticks);
  set_up_apic();  // the timer's mode, as it was
  wall_offset = read_wall_clock() * kNanoseconds - now_ns();
}

std::uint64_t now_ns() noexcept { return scale(read_tsc(), ns_per_tick); }

std::uint64_t tsc_at(std::uint64_t ns) noexcept {
  const Wide ticks = static_cast<Wide>(ns) * ticks_per_ns >> 32;
  return ticks >> 64 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(ticks);
}

std::uint64_t tsc_hertz() noexcept { return hertz; }
std::uint64_t wall_clock_offset_ns() noexcept { return wall_offset; }

void spin_us(std::uint64_t microseconds) noexcept {
  const std::uint64_t until = now_ns() + microseconds * 1000;
  while (now_ns() < until) pause();
}

}  // namespace kernel::cpu
