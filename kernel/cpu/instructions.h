// The privileged and unusual instructions, one function each. Nothing else in the tree issues them.
#pragma once

#include <cstdint>

namespace kernel::cpu {

/// For products of two 64-bit numbers.
__extension__ using Wide = unsigned __int128;

inline void out8(std::uint16_t port, std::uint8_t value) noexcept { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
inline void out16(std::uint16_t port, std::uint16_t value) noexcept { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline void out32(std::uint16_t port, std::uint32_t value) noexcept { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline std::uint8_t in8(std::uint16_t port) noexcept {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint16_t in16(std::uint16_t port) noexcept {
  std::uint16_t value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint32_t in32(std::uint16_t port) noexcept {
  std::uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

/// Model-specific registers (SDM vol. 4).
enum class Msr : std::uint32_t {
  apic_base = 0x1b,
  tsc_deadline = 0x6e0,
  x2apic = 0x800,  // + the xAPIC register's offset / 16
  efer = 0xc000'0080,
  star = 0xc000'0081,
  lstar = 0xc000'0082,
  fmask = 0xc000'0084,
  fs_base = 0xc000'0100,
  gs_base = 0xc000'0101,
};
inline std::uint64_t read_msr(Msr msr) noexcept {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(static_cast<std::uint32_t>(msr)));
  return std::uint64_t{high} << 32 | low;
}
inline void write_msr(Msr msr, std::uint64_t value) noexcept {
  asm volatile("wrmsr" : : "c"(static_cast<std::uint32_t>(msr)), "a"(static_cast<std::uint32_t>(value)),
               "d"(static_cast<std::uint32_t>(value >> 32)) : "memory");
}

struct Cpuid {
  std::uint32_t eax, ebx, ecx, edx;
};
inline Cpuid cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) noexcept {
  Cpuid result;
  asm volatile("cpuid" : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx) : "a"(leaf), "c"(subleaf));
  return result;
}

/// Not serializing: what comes before may be seen after it, which clocks can live with.
inline std::uint64_t read_tsc() noexcept {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
}

inline std::uint64_t read_cr2() noexcept {
  std::uint64_t value;
  asm volatile("movq %%cr2, %0" : "=r"(value));
  return value;
}
inline void write_cr3(std::uint64_t value) noexcept { asm volatile("movq %0, %%cr3" : : "r"(value) : "memory"); }
inline std::uint64_t read_cr4() noexcept {
  std::uint64_t value;
  asm volatile("movq %%cr4, %0" : "=r"(value));
  return value;
}
inline void write_cr4(std::uint64_t value) noexcept { asm volatile("movq %0, %%cr4" : : "r"(value) : "memory"); }
inline void write_xcr0(std::uint64_t value) noexcept {
  asm volatile("xsetbv" : : "c"(0), "a"(static_cast<std::uint32_t>(value)), "d"(static_cast<std::uint32_t>(value >> 32)));
}
inline void invalidate_page(std::uint64_t address) noexcept { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }

inline void disable_interrupts() noexcept { asm volatile("cli" : : : "memory"); }
inline void enable_interrupts() noexcept { asm volatile("sti" : : : "memory"); }
/// Interrupts on and sleep until the next one. sti holds them off for one instruction more, so that none can come
/// between it and hlt (SDM vol. 2, STI). They are off again afterwards.
inline void enable_interrupts_and_halt() noexcept { asm volatile("sti; hlt; cli" : : : "memory"); }
[[noreturn]] inline void halt_forever() noexcept {
  for (;;) asm volatile("cli; hlt");
}
/// Zeroes `words` of eight bytes, without a call of the C library.
inline void store_zero_words(void* at, std::uint64_t words) noexcept {
  asm volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(std::uint64_t{0}) : "memory");
}
inline void pause() noexcept { asm volatile("pause"); }
inline std::uint64_t read_stack_pointer() noexcept {
  std::uint64_t pointer;
  asm volatile("movq %%rsp, %0" : "=r"(pointer));
  return pointer;
}
inline std::uint64_t read_flags() noexcept {
  std::uint64_t flags;
  asm volatile("pushfq; popq %0" : "=r"(flags));
  return flags;
}
inline constexpr std::uint64_t kInterruptFlag = 0x200;

/// Interrupts off while it lives; then as they were.
class InterruptGuard {
 public:
  InterruptGuard() noexcept : flags_(read_flags()) { disable_interrupts(); }
  ~InterruptGuard() {
    if (flags_ & kInterruptFlag) enable_interrupts();
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  std::uint64_t flags_;
};

}  // namespace kernel::cpu
