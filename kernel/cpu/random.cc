#include "kernel/cpu/random.h"

#include <atomic>
#include <cstdint>

#include "kernel/cpu/console.h"
#include "kernel/cpu/instructions.h"

namespace kernel::cpu {
namespace {

std::atomic<std::uint64_t> mixed{0};
std::atomic<bool> warned{false};

// SDM vol. 1, 7.3.17.1: ten attempts are enough for a generator that works.
bool hardware_word(std::uint64_t& word) noexcept {
  for (int attempt = 0; attempt < 10; ++attempt) {
    bool done;
    asm volatile("rdrand %0" : "=r"(word), "=@ccc"(done));
    if (done) return true;
  }
  return false;
}

// The finalizer of MurmurHash3 spreads what little each reading brings over all bits.
std::uint64_t spread(std::uint64_t value) noexcept {
  value = (value ^ value >> 33) * 0xff51'afd7'ed55'8ccd;
  value = (value ^ value >> 33) * 0xc4ce'b9fe'1a85'ec53;
  return value ^ value >> 33;
}

std::uint64_t jitter_word() noexcept {
  if (!warned.exchange(true, std::memory_order_relaxed)) {
    console_write("kernel: this processor has no random numbers (RDRAND); what is made of them is guessable\n");
  }
  std::uint64_t word = mixed.load(std::memory_order_relaxed);
  for (int round = 0; round < 64; ++round) {
    pause();
    word = spread(word + read_tsc());
  }
  mixed.store(word, std::memory_order_relaxed);
  return spread(word ^ 0x9e37'79b9'7f4a'7c15);
}

}  // namespace

bool has_hardware_random() noexcept {
  constexpr std::uint32_t kRdrand = 1 << 30;
  static std::atomic<int> known{0};  // 0: not looked yet, 1: yes, 2: no
  if (known.load(std::memory_order_relaxed) == 0) known.store(cpuid(1).ecx & kRdrand ? 1 : 2, std::memory_order_relaxed);
  return known.load(std::memory_order_relaxed) == 1;
}

void fill_random(void* at, std::size_t size) noexcept {
  auto* to = static_cast<unsigned char*>(at);
  while (size > 0) {
    std::uint64_t word = 0;
    if (!has_hardware_random() || !hardware_word(word)) word = jitter_word();
    for (std::size_t i = 0; i < 8 && size > 0; ++i, --size) *to++ = static_cast<unsigned char>(word >> (8 * i));
  }
}

}  // namespace kernel::cpu
