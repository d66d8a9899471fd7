// The frames and handshake messages of docs/protocol.md: values to bytes and back, no more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/platform/stream.h"

namespace ebb::messenger {

inline constexpr std::uint16_t kProtocolVersion = 5;

enum class FrameType : std::uint8_t { call = 1, reply = 2, error = 3, ping = 4, cancel = 5, pong = 6, goodbye = 7 };

/// Bits of FrameHeader::flags.
enum FrameFlag : std::uint8_t {
  kOneWay = 1,   ///< a call that is never answered; its call id is 0
  kTraced = 2,   ///< a call whose payload starts with kTraceBytes of a trace
  kControl = 4,  ///< a call to an object of the runtime, or an answer to one: goes before all others
  kRefusal = 8,  ///< an error by which the call was turned away before anything ran
};

struct FrameHeader {
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kMaxErrorTextBytes = 4096;
  static constexpr std::size_t kTraceBytes = 25;
  std::uint32_t payload_bytes = 0;
  FrameType type = FrameType::ping;
  std::uint16_t core_or_code = 0;
  std::uint32_t call_id = 0;
  std::uint32_t object = 0;
  std::uint64_t method = 0;
  std::uint32_t timeout_ms = 0;
  std::uint8_t flags = 0;
  bool has(FrameFlag flag) const noexcept { return (flags & flag) != 0; }
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

std::array<std::byte, FrameHeader::kBytes> encode(const FrameHeader& header) noexcept;
/// nullopt for a header that breaks a rule, a payload above kMaxPayloadBytes among them.
std::optional<FrameHeader> parse_header(std::span<const std::byte, FrameHeader::kBytes> bytes) noexcept;

using TraceBytes = std::array<std::byte, FrameHeader::kTraceBytes>;
TraceBytes encode(const TraceContext& trace) noexcept;
/// What a trace says that other versions may add to it is not read.
TraceContext parse_trace(std::span<const std::byte, FrameHeader::kTraceBytes> bytes) noexcept;

using Nonce = std::array<std::byte, 32>;

struct Hello {
  static constexpr std::size_t kBytes = 64;
  std::uint16_t version = kProtocolVersion;
  std::uint16_t cores = 0;
  NodeId node = kNoNode;
  platform::Endpoint listen;
  NodeId wanted = kNoNode;
  Nonce nonce{};
  friend bool operator==(const Hello&, const Hello&) = default;
};
using HelloBytes = std::array<std::byte, Hello::kBytes>;

HelloBytes encode(const Hello& hello) noexcept;
/// nullopt for what is no hello of any version; the fields behind the version are read for this version only.
std::optional<Hello> parse_hello(std::span<const std::byte, Hello::kBytes> bytes) noexcept;

using Proof = std::array<std::byte, 32>;

struct Verdict {
  static constexpr std::size_t kBytes = 36;
  Errc status = Errc::ok;
  Proof proof{};
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

std::array<std::byte, Verdict::kBytes> encode(const Verdict& verdict) noexcept;
Verdict parse_verdict(std::span<const std::byte, Verdict::kBytes> bytes) noexcept;

/// A code as it came from a peer; internal for one that this version does not know.
Errc to_code(std::uint16_t number) noexcept;

}  // namespace ebb::messenger
