// Big-endian fields and bounds-checked reading and writing of packed headers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace kernel::net::wire {

using Bytes = std::span<const std::byte>;

/// An unsigned integer as it stands on the wire; alignment 1, so that a header is a plain struct of these.
template <class T>
class BigEndian {
 public:
  constexpr BigEndian() noexcept = default;
  constexpr BigEndian(T value) noexcept {  // NOLINT: a header is filled by assignment
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes_[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  constexpr operator T() const noexcept {  // NOLINT: reads like the integer it is
    T value = 0;
    for (std::uint8_t byte : bytes_) value = static_cast<T>((value << 8) | byte);
    return value;
  }

 private:
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};

using U8 = std::uint8_t;
using U16 = BigEndian<std::uint16_t>;
using U32 = BigEndian<std::uint32_t>;
static_assert(sizeof(U16) == 2 && alignof(U16) == 1 && sizeof(U32) == 4 && alignof(U32) == 1);

/// The header at the start of `bytes`, or nullopt if they are too few.
template <class Header>
std::optional<Header> read(Bytes bytes) noexcept {
  static_assert(std::is_trivially_copyable_v<Header> && alignof(Header) == 1);
  if (bytes.size() < sizeof(Header)) return std::nullopt;
  Header header;
  std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof(Header));
  return header;
}

/// Writes `header` at the start of `target`, which the caller has made large enough.
template <class Header>
void write(std::span<std::byte> target, const Header& header) noexcept {
  static_assert(std::is_trivially_copyable_v<Header> && alignof(Header) == 1);
  std::memcpy(target.data(), static_cast<const void*>(&header), sizeof(Header));
}

}  // namespace kernel::net::wire
