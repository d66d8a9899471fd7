// Bare metal under include/ebb/platform/platform.h: a core is a processor, waiting is hlt, time is the TSC.
#include "ebb/platform/platform.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "ebb/platform/ticks.h"
#include "ebb/platform/translation_table.h"
#include "kernel/boot/start_info.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/clock.h"
#include "kernel/cpu/console.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/interrupts.h"
#include "kernel/cpu/panic.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/random.h"
#include "kernel/memory/address_space.h"
#include "kernel/platform/poll.h"

namespace kernel::platform {
namespace {

// Each core's own line, so that waking one disturbs no other.
struct alignas(64) CoreState {
  std::atomic<bool> woken{false};
  std::atomic<bool> sleeping{false};
  CorePoller poller;
  void* table = nullptr;
};
constinit CoreState cores[cpu::kMaxProcessors];

CoreState& own() noexcept { return cores[cpu::processor_index()]; }

}  // namespace

void register_poller(ebb::CoreIndex core, const CorePoller& poller) noexcept { cores[ebb::to_number(core)].poller = poller; }

}  // namespace kernel::platform

namespace ebb::platform {

using namespace kernel;
using kernel::platform::cores;
using kernel::platform::CoreState;
using kernel::platform::own;

Clock::time_point Clock::now() noexcept { return time_point(duration(static_cast<std::int64_t>(cpu::now_ns()))); }

std::uint64_t ticks() noexcept { return cpu::read_tsc(); }

std::size_t available_cores() noexcept { return std::min(cpu::processor_count(), kMaxCores); }

Result<void> enter_core(CoreIndex core) {
  // Threads take processors in the order they are started, and so do cores.
  if (cpu::processor_index() != to_number(core)) {
    return Error(Errc::unavailable, "core " + std::to_string(to_number(core)) + " runs on processor " +
                                        std::to_string(cpu::processor_index()) +
                                        ": start no thread of your own before the cores");
  }
  CoreState& state = own();
  state.table = memory::reserve(kTranslationTableBytes, memory::Access::write);
  if (state.table == nullptr) return Error(Errc::resource_exhausted, "no address space for a core's translation table");
  cpu::write_msr(cpu::Msr::gs_base, reinterpret_cast<std::uint64_t>(state.table));
  if (kernel::platform::enter_network != nullptr) kernel::platform::enter_network(core);
  return {};
}

void leave_core() noexcept {
  if (kernel::platform::leave_network != nullptr) kernel::platform::leave_network(static_cast<CoreIndex>(cpu::processor_index()));
  CoreState& state = own();
  cpu::write_msr(cpu::Msr::gs_base, 0);
  memory::release(reinterpret_cast<std::uint64_t>(state.table), kTranslationTableBytes);
  state.table = nullptr;
}

bool poll() {
  const kernel::platform::CorePoller& poller = own().poller;
  return poller.poll != nullptr && poller.poll(poller.argument);
}

void wait(Instant deadline) {
  CoreState& state = own();
  const cpu::InterruptGuard guard;
  // Sequentially consistent with wake(): either it sees that this core sleeps and interrupts it, or this sees the wake-up.
  state.sleeping.store(true, std::memory_order_seq_cst);
  if (!state.woken.load(std::memory_order_seq_cst)) {
    if (state.poller.before_sleep != nullptr) deadline = std::min(deadline, state.poller.before_sleep(state.poller.argument));
    if (deadline > Clock::now()) {
      if (deadline != kNever) cpu::set_timer(cpu::tsc_at(static_cast<std::uint64_t>(deadline.time_since_epoch().count())));
      cpu::enable_interrupts_and_halt();
    }
  }
  state.sleeping.store(false, std::memory_order_relaxed);
  // Not a plain store, which could take effect after the caller's next look at its queues and undo a later wake-up.
  state.woken.exchange(false, std::memory_order_seq_cst);
}

void wake(CoreIndex core) noexcept {
  CoreState& state = cores[to_number(core)];
  state.woken.store(true, std::memory_order_seq_cst);
  if (state.sleeping.load(std::memory_order_seq_cst)) cpu::send_interrupt(to_number(core), cpu::kWakeVector);
}

void fill_random(std::span<std::byte> bytes) { cpu::fill_random(bytes.data(), bytes.size()); }

Result<std::vector<std::byte>> launch_secret() {
  constexpr std::size_t kMaxSecretBytes = 4096;
  const std::span<const std::byte> module = boot::boot_info().module;
  if (module.empty()) return Error(Errc::not_found, "no launch secret: the image was started without a boot module (initrd)");
  if (module.size() > kMaxSecretBytes) {
    return Error(Errc::too_large, "the launch secret has " + std::to_string(module.size()) + " bytes; 4096 are read at most");
  }
  return std::vector<std::byte>(module.begin(), module.end());
}

void write_log(std::string_view line) noexcept {
  // Two writes: a line must come out even where there is no memory to put it together.
  cpu::console_write(line);
  cpu::console_write("\n");
}

void exit_node(int status) noexcept { cpu::power_off(status & 0xff); }

}  // namespace ebb::platform
