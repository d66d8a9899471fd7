#include "kernel/cpu/console.h"

#include <atomic>

#include "kernel/cpu/instructions.h"
#include "kernel/cpu/spin_lock.h"

namespace kernel::cpu {
namespace {

constexpr std::uint16_t kPort = 0x3f8;
constexpr std::uint16_t kLineStatus = kPort + 5;
constexpr std::uint8_t kCanSend = 0x20;
// A port without a device reads as all ones; a device that never gets ready is given up for the byte.
constexpr int kMostLooks = 100'000;

SpinLock lock;
std::atomic<bool> lock_broken{false};

void send(char byte) noexcept {
  for (int look = 0; look < kMostLooks && (in8(kLineStatus) & kCanSend) == 0; ++look) pause();
  out8(kPort, static_cast<std::uint8_t>(byte));
}

void write_unlocked(const char* text, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    if (text[i] == '\n') send('\r');
    send(text[i]);
  }
}

}  // namespace

void set_up_console() noexcept {
  out8(kPort + 1, 0);
  out8(kPort + 3, 0x80);
  out8(kPort + 0, 1);
  out8(kPort + 1, 0);
  out8(kPort + 3, 3);
  out8(kPort + 2, 7);
}

void console_write(const char* text, std::size_t size) noexcept {
  if (lock_broken.load(std::memory_order_relaxed)) return write_unlocked(text, size);
  const SpinGuard guard(lock);
  write_unlocked(text, size);
}

void console_write(Hex number) noexcept {
  char text[18] = {'0', 'x'};
  std::size_t size = 2;
  bool leading = true;
  for (int shift = 60; shift >= 0; shift -= 4) {
    const unsigned digit = number.value >> shift & 15;
    if (digit == 0 && leading && shift != 0) continue;
    leading = false;
    text[size++] = "0123456789abcdef"[digit];
  }
  console_write(text, size);
}

void console_write(Decimal number) noexcept {
  char text[20];
  std::size_t at = sizeof text;
  do {
    text[--at] = static_cast<char>('0' + number.value % 10);
    number.value /= 10;
  } while (number.value != 0);
  console_write(text + at, sizeof text - at);
}

void break_console_lock() noexcept { lock_broken.store(true, std::memory_order_relaxed); }

}  // namespace kernel::cpu
