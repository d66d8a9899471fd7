#include "kernel/cpu/processor.h"

#include "kernel/cpu/instructions.h"
#include "kernel/cpu/interrupts.h"

extern "C" void syscall_entry();

namespace kernel::cpu {
namespace {

// SDM vol. 3, 8.7: the task state holds nothing in 64-bit mode but stacks.
struct [[gnu::packed]] TaskState {
  std::uint32_t reserved0;
  std::uint64_t rsp[3];
  std::uint64_t reserved1;
  std::uint64_t ist[7];
  std::uint64_t reserved2;
  std::uint16_t reserved3;
  std::uint16_t io_map;
};
static_assert(sizeof(TaskState) == 104);

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

constexpr std::size_t kFirstTaskSlot = kFirstTaskSelector / 8;
constexpr std::size_t kInterruptStackBytes = 8192;

struct alignas(16) Stacks {
  // One for interrupts, one for exceptions (an interrupt handler may touch memory that is not there yet), one for what
  // can come at any time. A second use of the same one would overwrite the first: handlers keep interrupts off.
  unsigned char stack[3][kInterruptStackBytes];
};

std::uint64_t descriptors[kFirstTaskSlot + 2 * kMaxProcessors] = {
    0, 0x00af'9b00'0000'ffff /* 64-bit code */, 0x00cf'9300'0000'ffff /* data */};
TaskState task_states[kMaxProcessors];
Stacks stacks[kMaxProcessors];

void load_descriptors(std::size_t index) noexcept {
  TaskState& task = task_states[index];
  for (int stack = 0; stack < 3; ++stack) {
    task.ist[stack] = reinterpret_cast<std::uint64_t>(stacks[index].stack[stack] + kInterruptStackBytes);
  }
  task.io_map = sizeof(TaskState);
  const auto base = reinterpret_cast<std::uint64_t>(&task);
  std::uint64_t* slot = &descriptors[kFirstTaskSlot + 2 * index];
  slot[0] = (sizeof(TaskState) - 1) | (base & 0xff'ffff) << 16 | std::uint64_t{0x89} << 40 | (base >> 24 & 0xff) << 56;
  slot[1] = base >> 32;
  const TablePointer pointer{sizeof(descriptors) - 1, reinterpret_cast<std::uint64_t>(descriptors)};
  asm volatile("lgdt %0" : : "m"(pointer));
  // Reloads %cs by a far return; the others hold the data selector already.
  asm volatile(
      "pushq %0\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "lretq\n"
      "1:"
      : : "i"(kCodeSelector) : "rax", "memory");
  asm volatile("ltr %0" : : "r"(static_cast<std::uint16_t>(kFirstTaskSelector + 16 * index)));
}

// The C library picks vector instructions by what CPUID offers, so what it offers must work (SDM vol. 3, 13.5; vol. 1, 13.3).
void enable_floating_point() noexcept {
  constexpr std::uint64_t kOsFxsr = 1 << 9;
  constexpr std::uint64_t kOsXmmException = 1 << 10;
  constexpr std::uint64_t kOsXsave = 1 << 18;
  std::uint64_t cr4 = read_cr4() | kOsFxsr | kOsXmmException;
  constexpr std::uint32_t kXsaveFeature = 1 << 26;
  const bool xsave = (cpuid(1).ecx & kXsaveFeature) != 0 && cpuid(0).eax >= 0xd && cpuid(0xd, 1).eax != 0;
  if (xsave) cr4 |= kOsXsave;
  write_cr4(cr4);
  if (xsave) {
    constexpr std::uint32_t kX87 = 1;
    constexpr std::uint32_t kSse = 2;
    constexpr std::uint32_t kAvx = 4;
    constexpr std::uint32_t kAvx512 = 0xe0;
    const std::uint32_t offered = cpuid(0xd, 0).eax;
    std::uint32_t enabled = kX87 | kSse | (offered & kAvx);
    // All of its three parts or none, and not without AVX.
    if ((offered & kAvx512) == kAvx512 && (offered & kAvx)) enabled |= kAvx512;
    write_xcr0(enabled);
  }
  asm volatile("fninit");
  const std::uint32_t mxcsr = 0x1f80;
  asm volatile("ldmxcsr %0" : : "m"(mxcsr));
}

// `syscall` in ring 0 arrives in ring 0: the selectors it loads are those in use (SDM vol. 2, SYSCALL).
void enable_system_calls() noexcept {
  write_msr(Msr::efer, read_msr(Msr::efer) | 1);
  write_msr(Msr::star, std::uint64_t{kCodeSelector} << 32);
  write_msr(Msr::lstar, reinterpret_cast<std::uint64_t>(&syscall_entry));
  constexpr std::uint64_t kTrap = 0x100;
  constexpr std::uint64_t kDirection = 0x400;
  constexpr std::uint64_t kAlignmentCheck = 0x4'0000;
  write_msr(Msr::fmask, kInterruptFlag | kTrap | kDirection | kAlignmentCheck);
}

}  // namespace

void set_up_processor(std::size_t index) noexcept {
  load_descriptors(index);
  load_interrupt_table();
  enable_floating_point();
  enable_system_calls();
}

}  // namespace kernel::cpu
