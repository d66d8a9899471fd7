#include "kernel/boot/processors.h"

#include <atomic>

#include "kernel/boot/acpi.h"
#include "kernel/boot/start_info.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/clock.h"
#include "kernel/cpu/console.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/processor.h"
#include "kernel/libc/threads.h"
#include "kernel/memory/address_space.h"
#include "kernel/memory/pages.h"

extern "C" {
extern unsigned char ap_trampoline[];
extern unsigned char ap_trampoline_end[];
extern unsigned char ap_trampoline_cr3[];
extern unsigned char ap_trampoline_stack[];
extern unsigned char ap_trampoline_index[];
}

namespace kernel::boot {
namespace {

constexpr std::size_t kStackPages = 4;
std::atomic<std::size_t> arrived{0};
std::uint32_t ids[cpu::kMaxProcessors];
std::size_t count = 0;

void set_word(const unsigned char* field, std::uint64_t value) noexcept {
  *reinterpret_cast<volatile std::uint64_t*>(kApTrampoline + static_cast<std::uint64_t>(field - ap_trampoline)) = value;
}

bool start(std::uint32_t apic_id, std::size_t index) noexcept {
  auto* stack = static_cast<unsigned char*>(memory::allocate_pages(kStackPages));
  if (stack == nullptr) return false;
  set_word(ap_trampoline_stack, reinterpret_cast<std::uint64_t>(stack + kStackPages * memory::kPageBytes));
  set_word(ap_trampoline_index, index);
  cpu::register_processor(index, apic_id);
  // SDM vol. 3, 9.4.4.1: INIT, 10 ms, start-up, and once more. Virtual processors need no such pauses; a real one that
  // missed the first start-up gets the second.
  cpu::send_init(apic_id);
  cpu::spin_us(10);
  // A virtual one may have to wait for a processor of the host, for long if that is busy.
  constexpr std::uint64_t kPatienceNs[] = {50'000'000, 2'000'000'000};
  for (const std::uint64_t patience : kPatienceNs) {
    cpu::send_startup(apic_id, static_cast<std::uint8_t>(kApTrampoline / memory::kPageBytes));
    const std::uint64_t give_up = cpu::now_ns() + patience;
    while (cpu::now_ns() < give_up) {
      if (arrived.load(std::memory_order_acquire) == index) return true;
      cpu::pause();
    }
  }
  return false;
}

}  // namespace

extern "C" [[noreturn]] void processor_start(std::size_t index) {
  cpu::set_up_processor(index);
  cpu::set_up_apic();
  // Release pairs with start()'s acquire: this processor is set up.
  arrived.store(index, std::memory_order_release);
  libc::run_threads();
}

void find_all_processors() noexcept { count = find_processors(boot_info().acpi_root, ids, cpu::kMaxProcessors); }

void start_processors() noexcept {
  const std::uint32_t own = cpu::own_apic_id();
  cpu::register_processor(0, own);
  for (std::size_t i = 0; i < static_cast<std::size_t>(ap_trampoline_end - ap_trampoline); ++i) {
    reinterpret_cast<volatile unsigned char*>(kApTrampoline)[i] = ap_trampoline[i];
  }
  set_word(ap_trampoline_cr3, memory::root_table());
  std::size_t next = 1;
  for (std::size_t i = 0; i < count && next < cpu::kMaxProcessors; ++i) {
    if (ids[i] == own) continue;
    if (start(ids[i], next)) {
      ++next;
    } else {
      cpu::console_write("kernel: a processor does not start; going on without it and those behind it\n");
      cpu::unregister_processors(next);
      return;
    }
  }
}

}  // namespace kernel::boot
