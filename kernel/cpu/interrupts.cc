#include "kernel/cpu/interrupts.h"

#include <atomic>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/panic.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/spin_lock.h"
#include "kernel/memory/address_space.h"

extern "C" unsigned char interrupt_entries[];

namespace kernel::cpu {
namespace {

constexpr std::size_t kVectors = 256;
constexpr std::size_t kEntryBytes = 16;
constexpr std::size_t kExceptions = 32;

// SDM vol. 3, 6.14.1
struct [[gnu::packed]] Gate {
  std::uint16_t offset_low;
  std::uint16_t selector;
  std::uint8_t stack;  // of the task state, from 1
  std::uint8_t type;
  std::uint16_t offset_middle;
  std::uint32_t offset_high;
  std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct Handler {
  std::atomic<void (*)(void*)> function{nullptr};
  void* argument = nullptr;
};

alignas(16) Gate table[kVectors];
Handler handlers[kMaxProcessors][kVectors - kFirstDeviceVector];
SpinLock allocation;
std::uint16_t next_vector[kMaxProcessors];

std::uint8_t stack_of(std::size_t vector) noexcept {
  constexpr std::size_t kNonMaskable = 2;
  constexpr std::size_t kDoubleFault = 8;
  constexpr std::size_t kMachineCheck = 18;
  if (vector == kNonMaskable || vector == kDoubleFault || vector == kMachineCheck) return 3;
  return vector < kExceptions ? 2 : 1;
}

void fill_table() noexcept {
  for (std::size_t vector = 0; vector < kVectors; ++vector) {
    const auto address = reinterpret_cast<std::uint64_t>(interrupt_entries) + vector * kEntryBytes;
    constexpr std::uint8_t kInterruptGate = 0x8e;
    table[vector] = {static_cast<std::uint16_t>(address), kCodeSelector, stack_of(vector), kInterruptGate,
                     static_cast<std::uint16_t>(address >> 16), static_cast<std::uint32_t>(address >> 32), 0};
  }
}

}  // namespace

void load_interrupt_table() noexcept {
  if (processor_index() == 0) fill_table();
  struct [[gnu::packed]] {
    std::uint16_t limit;
    std::uint64_t base;
  } pointer{sizeof(table) - 1, reinterpret_cast<std::uint64_t>(table)};
  asm volatile("lidt %0" : : "m"(pointer));
}

extern "C" void handle_interrupt(InterruptFrame* frame) {
  const auto vector = static_cast<std::size_t>(frame->vector);
  if (vector < kExceptions) {
    if (vector == kPageFault && memory::populate(read_cr2(), frame->error_code)) return;
    panic_at(*frame);
  }
  if (vector == kHaltVector) halt_forever();
  if (vector >= kFirstDeviceVector && vector != kSpuriousVector) {
    Handler& handler = handlers[processor_index()][vector - kFirstDeviceVector];
    // Acquire pairs with the release in allocate_msi: the argument is there.
    if (auto* function = handler.function.load(std::memory_order_acquire)) function(handler.argument);
  }
  // The timer and wake-ups need no handler: that hlt has ended is all.
  if (vector != kSpuriousVector) apic_end_of_interrupt();
}

ebb::Result<MsiMessage> allocate_msi(ebb::CoreIndex core, void (*handler)(void*), void* argument) {
  const std::size_t processor = ebb::to_number(core);
  if (processor >= processor_count()) {
    return ebb::Error(ebb::Errc::not_found, "this machine has no such processor to interrupt");
  }
  std::uint16_t vector;
  {
    const SpinGuard guard(allocation);
    vector = static_cast<std::uint16_t>(kFirstDeviceVector + next_vector[processor]);
    if (vector >= kSpuriousVector) {
      return ebb::Error(ebb::Errc::resource_exhausted, "all interrupt vectors of a core are given to devices");
    }
    ++next_vector[processor];
  }
  Handler& slot = handlers[processor][vector - kFirstDeviceVector];
  slot.argument = argument;
  slot.function.store(handler, std::memory_order_release);
  return MsiMessage{0xfee0'0000 | std::uint64_t{apic_id_of(processor)} << 12, vector};
}

}  // namespace kernel::cpu
