// TCP headers [RFC 9293 3.1], the options we know [RFC 9293 3.2, RFC 7323 2], and sequence numbers.
#pragma once

#include <optional>

#include "kernel/net/wire/bytes.h"

namespace kernel::net::wire {

struct TcpHeader {
  U16 source_port;
  U16 destination_port;
  U32 sequence;
  U32 acknowledgement;
  U8 offset;  ///< upper four bits: header length in words
  U8 flags;
  U16 window;
  U16 checksum;
  U16 urgent;
};
static_assert(sizeof(TcpHeader) == 20);
inline constexpr std::size_t kTcpChecksumOffset = 16;

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPush = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;

/// A sequence number: compares by distance around the circle [RFC 9293 3.4].
class TcpSeq {
 public:
  constexpr TcpSeq() noexcept = default;
  constexpr explicit TcpSeq(std::uint32_t value) noexcept : value_(value) {}
  constexpr std::uint32_t value() const noexcept { return value_; }
  friend constexpr TcpSeq operator+(TcpSeq a, std::uint32_t n) noexcept { return TcpSeq(a.value_ + n); }
  friend constexpr TcpSeq operator-(TcpSeq a, std::uint32_t n) noexcept { return TcpSeq(a.value_ - n); }
  /// Signed distance from b to a.
  friend constexpr std::int32_t operator-(TcpSeq a, TcpSeq b) noexcept {
    return static_cast<std::int32_t>(a.value_ - b.value_);
  }
  friend constexpr bool operator==(TcpSeq a, TcpSeq b) noexcept { return a.value_ == b.value_; }
  friend constexpr bool operator<(TcpSeq a, TcpSeq b) noexcept { return a - b < 0; }
  friend constexpr bool operator>(TcpSeq a, TcpSeq b) noexcept { return b < a; }
  friend constexpr bool operator<=(TcpSeq a, TcpSeq b) noexcept { return !(b < a); }
  friend constexpr bool operator>=(TcpSeq a, TcpSeq b) noexcept { return !(a < b); }

 private:
  std::uint32_t value_ = 0;
};

struct TcpSegment {
  std::uint16_t source_port;
  std::uint16_t destination_port;
  TcpSeq sequence;
  TcpSeq acknowledgement;
  std::uint8_t flags;
  std::uint16_t window;                    ///< unscaled, as on the wire
  std::optional<std::uint16_t> max_segment;  ///< in a SYN only
  std::optional<std::uint8_t> window_shift;  ///< in a SYN only; at most 14 [RFC 7323 2.3]
  Bytes payload;

  bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
  /// What it takes up in sequence space.
  std::uint32_t length() const noexcept {
    return static_cast<std::uint32_t>(payload.size()) + (has(kTcpSyn) ? 1 : 0) + (has(kTcpFin) ? 1 : 0);
  }
};

/// nullopt when a length does not hold together; unknown options are stepped over. The checksum is not looked at.
inline std::optional<TcpSegment> parse_tcp(Bytes bytes) noexcept {
  const auto header = read<TcpHeader>(bytes);
  if (!header) return std::nullopt;
  const std::size_t header_bytes = std::size_t{static_cast<std::uint8_t>(header->offset >> 4)} * 4;
  if (header_bytes < sizeof(TcpHeader) || header_bytes > bytes.size()) return std::nullopt;
  TcpSegment segment{header->source_port, header->destination_port, TcpSeq(header->sequence),
                     TcpSeq(header->acknowledgement), header->flags, header->window, std::nullopt, std::nullopt,
                     bytes.subspan(header_bytes)};
  if (!segment.has(kTcpSyn)) return segment;  // the two options below are valid in a SYN only
  const Bytes options = bytes.subspan(sizeof(TcpHeader), header_bytes - sizeof(TcpHeader));
  for (std::size_t at = 0; at < options.size();) {
    const auto kind = static_cast<std::uint8_t>(options[at]);
    if (kind == 0) break;                     // end of list
    if (kind == 1) { ++at; continue; }        // no operation
    if (at + 1 >= options.size()) return std::nullopt;
    const auto length = static_cast<std::size_t>(options[at + 1]);
    if (length < 2 || at + length > options.size()) return std::nullopt;
    if (kind == 2 && length == 4) segment.max_segment = *read<U16>(options.subspan(at + 2));
    if (kind == 3 && length == 3) {
      const auto shift = static_cast<std::uint8_t>(options[at + 2]);
      segment.window_shift = shift > 14 ? std::uint8_t{14} : shift;
    }
    at += length;
  }
  return segment;
}

}  // namespace kernel::net::wire
