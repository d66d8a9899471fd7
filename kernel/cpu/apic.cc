#include "kernel/cpu/apic.h"

#include <atomic>

#include "kernel/cpu/instructions.h"
#include "kernel/cpu/interrupts.h"
#include "kernel/cpu/processor.h"

namespace kernel::cpu {
namespace {

// Offsets of the xAPIC's page; in x2APIC mode the same registers are MSRs (SDM vol. 3, 11.4.1, 11.12.1.2).
enum class Register : std::uint32_t {
  id = 0x20,
  task_priority = 0x80,
  end_of_interrupt = 0xb0,
  spurious = 0xf0,
  command = 0x300,
  command_high = 0x310,
  timer = 0x320,
  lint0 = 0x350,
  lint1 = 0x360,
  initial_count = 0x380,
  current_count = 0x390,
  divide = 0x3e0,
};
constexpr std::uint64_t kPage = 0xfee0'0000;  // identity-mapped, uncached
constexpr std::uint32_t kEnable = 0x100;
constexpr std::uint32_t kMasked = 0x1'0000;
constexpr std::uint32_t kDeadlineMode = 2 << 17;
constexpr std::uint32_t kInit = 0x4500;
constexpr std::uint32_t kStartup = 0x4600;
constexpr std::uint32_t kAssert = 0x4000;

bool x2apic = false;
bool deadline_mode = false;
std::uint64_t timer_ratio = 0;  // APIC ticks per TSC tick, 32 fraction bits
std::uint32_t apic_ids[kMaxProcessors];
std::atomic<std::size_t> processors{0};

void write(Register at, std::uint32_t value) noexcept {
  const auto offset = static_cast<std::uint32_t>(at);
  if (x2apic) {
    write_msr(Msr{static_cast<std::uint32_t>(Msr::x2apic) + offset / 16}, value);
  } else {
    *reinterpret_cast<volatile std::uint32_t*>(kPage + offset) = value;
  }
}

std::uint32_t read(Register at) noexcept {
  const auto offset = static_cast<std::uint32_t>(at);
  if (x2apic) return static_cast<std::uint32_t>(read_msr(Msr{static_cast<std::uint32_t>(Msr::x2apic) + offset / 16}));
  return *reinterpret_cast<volatile std::uint32_t*>(kPage + offset);
}

void command(std::uint32_t apic_id, std::uint32_t value) noexcept {
  const InterruptGuard guard;  // the two halves of the xAPIC's register belong together
  if (x2apic) {
    write_msr(Msr{static_cast<std::uint32_t>(Msr::x2apic) + 0x30}, std::uint64_t{apic_id} << 32 | value);
    return;
  }
  constexpr std::uint32_t kPending = 0x1000;
  while (read(Register::command) & kPending) pause();
  write(Register::command_high, apic_id << 24);
  write(Register::command, value);
}

}  // namespace

void set_up_apic() noexcept {
  constexpr std::uint64_t kGlobalEnable = 1 << 11;
  constexpr std::uint64_t kX2Enable = 1 << 10;
  if (processor_index() == 0) {
    const std::uint32_t features = cpuid(1).ecx;
    x2apic = (features & 1 << 21) != 0;
    deadline_mode = (features & 1 << 24) != 0;
  }
  std::uint64_t base = read_msr(Msr::apic_base) | kGlobalEnable;
  write_msr(Msr::apic_base, base);
  if (x2apic) write_msr(Msr::apic_base, base | kX2Enable);
  write(Register::task_priority, 0);
  write(Register::lint0, kMasked);
  write(Register::lint1, kMasked);
  constexpr std::uint32_t kDivideByOne = 0xb;
  write(Register::divide, kDivideByOne);
  write(Register::timer, kTimerVector | (deadline_mode ? kDeadlineMode : 0));
  write(Register::spurious, kEnable | kSpuriousVector);
  if (processor_index() != 0) return;
  // The two old interrupt controllers stay quiet.
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
}

void apic_end_of_interrupt() noexcept { write(Register::end_of_interrupt, 0); }

std::uint32_t own_apic_id() noexcept {
  const std::uint32_t id = read(Register::id);
  return x2apic ? id : id >> 24;
}

void send_interrupt(std::size_t processor, std::uint8_t vector) noexcept { command(apic_ids[processor], kAssert | vector); }
void send_init(std::uint32_t apic_id) noexcept { command(apic_id, kInit); }
void send_startup(std::uint32_t apic_id, std::uint8_t page) noexcept { command(apic_id, kStartup | page); }

void set_timer(std::uint64_t tsc) noexcept {
  if (deadline_mode) {
    write_msr(Msr::tsc_deadline, tsc);
    return;
  }
  const std::uint64_t now = read_tsc();
  const std::uint64_t ahead = tsc > now ? tsc - now : 0;
  const auto ticks = static_cast<Wide>(ahead) * timer_ratio >> 32;
  constexpr std::uint32_t kMost = 0xffff'ffff;
  // 0 would stop it. A far deadline comes in steps: whoever sleeps looks again when it wakes.
  write(Register::initial_count, ticks >= kMost ? kMost : static_cast<std::uint32_t>(ticks) + 1);
}

void set_timer_ratio(std::uint64_t ratio) noexcept { timer_ratio = ratio; }

void start_timer_count() noexcept {
  write(Register::timer, kMasked | kTimerVector);
  write(Register::initial_count, 0xffff'ffff);
}
std::uint32_t timer_count() noexcept {
  const std::uint32_t count = read(Register::current_count);
  return count;
}

std::uint32_t apic_id_of(std::size_t processor) noexcept { return apic_ids[processor]; }

void register_processor(std::size_t processor, std::uint32_t apic_id) noexcept {
  apic_ids[processor] = apic_id;
  // Release: who counts it finds its id.
  processors.store(processor + 1, std::memory_order_release);
}
std::size_t processor_count() noexcept { return processors.load(std::memory_order_acquire); }

void unregister_processors(std::size_t count) noexcept { processors.store(count, std::memory_order_release); }

}  // namespace kernel::cpu
