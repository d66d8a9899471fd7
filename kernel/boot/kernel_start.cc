// The kernel's beginning, on the first processor: memory, processors, then the C library's _start, which calls main().
// Nothing here may call the library: its own start relocates the functions it would call.
#include <elf.h>

#include <cstddef>
#include <cstdint>

#include "kernel/boot/command_line.h"
#include "kernel/boot/processors.h"
#include "kernel/boot/start_info.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/clock.h"
#include "kernel/cpu/console.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/panic.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/random.h"
#include "kernel/memory/address_space.h"
#include "kernel/memory/pages.h"

extern "C" {
extern const Elf64_Ehdr __ehdr_start;
extern unsigned char __executable_start[];
extern unsigned char _end[];
extern unsigned char _start[];
[[noreturn]] void enter_c_library(std::uint64_t stack);
}

namespace kernel::boot {
namespace {

constexpr std::uint64_t kLowMemoryEnd = 1 << 20;  // firmware's, and the start code of other processors
constexpr std::size_t kMainStackBytes = 1 << 20;

std::uint64_t address_of(const void* pointer) noexcept { return reinterpret_cast<std::uint64_t>(pointer); }

/// Gives [begin, end) to the allocator, but for what is in use.
void add_unused_ram(std::uint64_t begin, std::uint64_t end, const Range* used, std::size_t used_count) noexcept {
  for (std::size_t i = 0; i < used_count; ++i) {
    if (used[i].end <= begin || used[i].begin >= end) continue;
    if (used[i].begin > begin) add_unused_ram(begin, used[i].begin, used, used_count);
    begin = used[i].end;
    if (begin >= end) return;
    return add_unused_ram(begin, end, used, used_count);
  }
  memory::add_ram(begin, end);
}

void hand_out_ram() noexcept {
  const BootInfo& info = boot_info();
  const Range used[] = {{0, kLowMemoryEnd},
                        {address_of(__executable_start) & ~std::uint64_t{memory::kPageBytes - 1}, address_of(_end)},
                        {address_of(info.module.data()), address_of(info.module.data()) + info.module.size()}};
  for (std::size_t i = 0; i < info.ram_count; ++i) {
    add_unused_ram(info.ram[i].begin, info.ram[i].end, used, std::size(used));
  }
}

/// The stack that _start expects: argc, argv, environment, auxiliary vector.
std::uint64_t make_main_stack() noexcept {
  static std::uint64_t random[2];
  cpu::fill_random(random, sizeof random);
  void* stack = memory::reserve(kMainStackBytes, memory::Access::write);
  if (stack == nullptr) KERNEL_PANIC("no memory for the first stack");
  static char* arguments[kMaxArguments];
  const std::size_t count = split_command_line(boot_info().command_line, arguments);
  const std::uint64_t headers = address_of(&__ehdr_start) + __ehdr_start.e_phoff;
  static char name[] = "node";
  static char platform[] = "x86_64";
  const std::uint64_t auxiliary[] = {
      AT_PHDR, headers, AT_PHENT, sizeof(Elf64_Phdr), AT_PHNUM, __ehdr_start.e_phnum, AT_PAGESZ, memory::kPageBytes,
      AT_ENTRY, address_of(_start), AT_SECURE, 0, AT_UID, 0, AT_EUID, 0, AT_GID, 0, AT_EGID, 0, AT_CLKTCK, 100,
      AT_HWCAP, cpu::cpuid(1).edx, AT_HWCAP2, 0, AT_RANDOM, address_of(random), AT_EXECFN, address_of(name),
      AT_PLATFORM, address_of(platform), AT_NULL, 0};
  const std::size_t words = 1 + 1 + count + 1 + 1 + std::size(auxiliary);
  std::uint64_t top = address_of(stack) + kMainStackBytes - words * 8;
  top &= ~std::uint64_t{15};
  auto* word = reinterpret_cast<volatile std::uint64_t*>(top);
  *word++ = count + 1;
  *word++ = address_of(name);
  for (std::size_t i = 0; i < count; ++i) *word++ = address_of(arguments[i]);
  *word++ = 0;
  *word++ = 0;  // no environment
  for (const std::uint64_t value : auxiliary) *word++ = value;
  return top;
}

}  // namespace

extern "C" [[noreturn]] void kernel_start(std::uint64_t start_info) {
  cpu::set_up_console();
  cpu::set_up_processor(0);
  if (!read_start_info(start_info)) KERNEL_PANIC("the loader gave no PVH start info with a memory map; start the image with QEMU's -kernel");
  find_all_processors();
  hand_out_ram();
  if (!memory::make_address_space(boot_info().ram_end, address_of(_end))) KERNEL_PANIC("too little memory for the page tables");
  cpu::set_up_apic();
  cpu::calibrate_clock();
  start_processors();
  enter_c_library(make_main_stack());
}

}  // namespace kernel::boot
