// The frames and handshake messages of docs/protocol.md: values to bytes and back, no more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/platform/stream.h"

namespace ebb::messenger {

inline constexpr std::uint16_t kProtocolVersion = 1;

enum class FrameType : std::uint8_t { call = 1, reply = 2, error = 3, ping = 4 };

struct FrameHeader {
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kMaxErrorTextBytes = 4096;
  std::uint32_t payload_bytes = 0;
  FrameType type = FrameType::ping;
  std::uint16_t core_or_code = 0;
  std::uint32_t call_id = 0;
  std::uint32_t object = 0;
  std::uint64_t method = 0;
  std::uint32_t timeout_ms = 0;
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

std::array<std::byte, FrameHeader::kBytes> encode(const FrameHeader& header) noexcept;
/// nullopt for a header that breaks a rule, a payload above kMaxPayloadBytes among them.
std::optional<FrameHeader> parse_header(std::span<const std::byte, FrameHeader::kBytes> bytes) noexcept;

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
/// nullopt for what is no hello of any version; the fields behind the version are read for version 1 only.
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
