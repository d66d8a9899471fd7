// The Internet checksum: one's complement sum of 16-bit words [RFC 1071].
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace kernel::net::wire {

/// Adds pieces of a packet in order; a piece may have an odd length.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) noexcept {
    if (bytes.empty()) return;
    std::uint64_t piece = 0;
    std::size_t at = 0;
    // Four bytes at a time in host order: the sum of words is the same in either byte order, up to a final swap
    // [RFC 1071 2(B)], and 64 bits hold the carries of any frame.
    for (; at + 4 <= bytes.size(); at += 4) {
      std::uint32_t word;
      std::memcpy(&word, bytes.data() + at, 4);
      piece += word;
    }
    std::uint32_t rest = 0;
    std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    piece += rest;
    std::uint16_t sum = fold(piece);
    if (odd_) sum = static_cast<std::uint16_t>((sum << 8) | (sum >> 8));
    sum_ += sum;
    odd_ ^= (bytes.size() & 1) != 0;
  }

  /// Adds a number that has 16-bit alignment in the pseudo-header.
  void add_u16(std::uint16_t value) noexcept {
    sum_ += std::endian::native == std::endian::little ? static_cast<std::uint16_t>((value << 8) | (value >> 8)) : value;
  }
  void add_u32(std::uint32_t value) noexcept {
    add_u16(static_cast<std::uint16_t>(value >> 16));
    add_u16(static_cast<std::uint16_t>(value));
  }

  /// The sum as a big-endian number, not complemented. A correct packet with its checksum included sums to 0xffff.
  std::uint16_t sum() const noexcept {
    const std::uint16_t folded = fold(sum_);
    return std::endian::native == std::endian::little ? static_cast<std::uint16_t>((folded << 8) | (folded >> 8)) : folded;
  }
  /// What goes into a header's checksum field.
  std::uint16_t value() const noexcept { return static_cast<std::uint16_t>(~sum()); }

 private:
  static std::uint16_t fold(std::uint64_t sum) noexcept {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }
  std::uint64_t sum_ = 0;
  bool odd_ = false;
};

}  // namespace kernel::net::wire
