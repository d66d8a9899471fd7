// The serial console (16550 at 0x3f8), written byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kernel::cpu {

/// 115,200 baud, 8N1, no interrupts. Once, at boot.
void set_up_console() noexcept;

/// Writes all of it; lines of different cores do not mix. Any context. A newline is sent as CR LF.
void console_write(const char* text, std::size_t size) noexcept;
inline void console_write(std::string_view text) noexcept { console_write(text.data(), text.size()); }

/// The parts of a report, for code that cannot format: hexadecimal with 0x, or decimal.
struct Hex {
  std::uint64_t value;
};
struct Decimal {
  std::uint64_t value;
};
void console_write(Hex number) noexcept;
void console_write(Decimal number) noexcept;

/// From now on the console takes no lock: the processor that panics must not wait for another one.
void break_console_lock() noexcept;

}  // namespace kernel::cpu
