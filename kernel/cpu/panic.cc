#include "kernel/cpu/panic.h"

#include <atomic>
#include <string_view>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/console.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/symbols.h"
#include "kernel/memory/address_space.h"

extern "C" unsigned char __executable_start[];
extern "C" unsigned char etext[];

namespace kernel::cpu {
namespace {

// SDM vol. 3, table 6-1
constexpr std::string_view kExceptionNames[] = {
    "divide error",          "debug exception",      "non-maskable interrupt",  "breakpoint",
    "overflow",              "bound range exceeded", "invalid opcode",          "no floating point",
    "double fault",          "(9)",                  "invalid task state",      "segment not present",
    "stack segment fault",   "general protection fault", "page fault",          "(15)",
    "floating point error",  "alignment check",      "machine check",           "vector floating point error"};

constexpr int kMostFrames = 24;
constexpr std::uint16_t kPvpanicPort = 0x505;
constexpr std::uint8_t kPvpanicPanicked = 1;
constexpr std::uint16_t kDebugExitPort = 0xf4;
constexpr std::uint16_t kPowerPort = 0x604;      // q35's ACPI PM1a control
constexpr std::uint16_t kPowerOff = 0x2000;      // sleep enable, type 0: S5
constexpr int kPanicStatus = 70;

constexpr std::size_t kNobody = ~std::size_t{0};
std::atomic<std::size_t> reporter{kNobody};  // the processor that reports

bool is_text(std::uint64_t address) noexcept {
  return address >= reinterpret_cast<std::uint64_t>(__executable_start) && address < reinterpret_cast<std::uint64_t>(etext);
}

void write_place(std::uint64_t address) noexcept {
  std::uint64_t offset = 0;
  const char* name = symbol_at(address, offset);
  if (name == nullptr) {
    console_write(Hex{address});
    return;
  }
  std::size_t size = 0;
  while (name[size] != 0) ++size;
  console_write(name, size);
  console_write("+");
  console_write(Hex{offset});
  console_write(" (");
  console_write(Hex{address});
  console_write(")");
}

/// Reads a word of some stack, if memory is there.
bool read_word(std::uint64_t address, std::uint64_t& word) noexcept {
  if (address % 8 != 0 || address < 4096 || memory::physical_of(reinterpret_cast<void*>(address)) == 0) return false;
  word = *reinterpret_cast<const std::uint64_t*>(address);
  return true;
}

// Code is compiled without frame pointers, so the stack is searched for what looks like return addresses: every frame
// is there, with a stale one now and then.
void write_backtrace(std::uint64_t rsp) noexcept {
  constexpr std::uint64_t kMostWords = 2048;
  int frames = 0;
  for (std::uint64_t at = rsp & ~std::uint64_t{7}; at < rsp + kMostWords * 8 && frames < kMostFrames; at += 8) {
    std::uint64_t word = 0;
    if (!read_word(at, word)) {
      at = (at | 0xff8) & ~std::uint64_t{7};  // a stack that has run over: what was pushed lies behind this page
      continue;
    }
    if (!is_text(word)) continue;
    console_write("  from ");
    write_place(word);
    console_write("\n");
    ++frames;
  }
}

[[noreturn]] void end_report() noexcept {
  console_write("ebb-panic: end\n");
  out8(kPvpanicPort, kPvpanicPanicked);
  power_off(kPanicStatus);
}

// One processor reports; the others stop. A fault of the report itself ends the machine with what has been said.
void begin_report() noexcept {
  std::size_t first = kNobody;
  if (!reporter.compare_exchange_strong(first, processor_index(), std::memory_order_relaxed)) {
    if (first == processor_index()) end_report();
    halt_forever();
  }
  break_console_lock();
  for (std::size_t other = 0; other < processor_count(); ++other) {
    if (other != processor_index()) send_interrupt(other, kHaltVector);
  }
  console_write("\nebb-panic: ");
}

}  // namespace

void panic_at(const InterruptFrame& frame) noexcept {
  begin_report();
  const auto vector = static_cast<std::size_t>(frame.vector);
  console_write(vector < std::size(kExceptionNames) ? kExceptionNames[vector] : "exception");
  if (vector == kPageFault) {
    const std::uint64_t address = read_cr2();
    console_write(frame.error_code & 0x10 ? " executing " : frame.error_code & 2 ? " writing " : " reading ");
    console_write(Hex{address});
    if (address < 4096) console_write(" (a null pointer)");
    if (memory::out_of_memory()) console_write(" (the node is out of memory)");
  }
  console_write(" at ");
  write_place(frame.rip);
  console_write(" on core ");
  console_write(Decimal{processor_index()});
  console_write("\n  error code ");
  console_write(Hex{frame.error_code});
  constexpr std::string_view kNames[] = {"r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8",
                                         "rbp", "rdi", "rsi", "rdx", "rcx", "rbx", "rax"};
  const std::uint64_t* registers = &frame.r15;
  for (std::size_t i = std::size(kNames); i-- > 0;) {
    console_write(i % 5 == 4 ? "\n  " : "  ");
    console_write(kNames[i]);
    console_write("=");
    console_write(Hex{registers[i]});
  }
  console_write("  rsp=");
  console_write(Hex{frame.rsp});
  console_write("\n");
  write_backtrace(frame.rsp);
  end_report();
}

void panic(const char* what, std::uint64_t rip, std::uint64_t rsp, std::uint64_t rbp) noexcept {
  begin_report();
  std::size_t size = 0;
  while (what[size] != 0) ++size;
  console_write(what, size);
  console_write(" at ");
  write_place(rip);
  console_write(" on core ");
  console_write(Decimal{processor_index()});
  console_write("\n");
  write_backtrace(rsp != 0 ? rsp : rbp & ~std::uint64_t{7});
  end_report();
}

void power_off(int status) noexcept {
  // The device leaves seven bits of it; a failure must not become a 0.
  constexpr int kHighest = 127;
  out32(kDebugExitPort, static_cast<std::uint32_t>(status < 0 || status > kHighest ? kHighest : status));
  out16(kPowerPort, kPowerOff);
  halt_forever();
}

}  // namespace kernel::cpu
