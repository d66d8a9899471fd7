#include "src/messenger/frame.h"

#include <algorithm>
#include <cstring>

#include "ebb/messenger/messenger.h"

namespace ebb::messenger {
namespace {

constexpr std::array<std::byte, 4> kMagic{std::byte{'M'}, std::byte{'L'}, std::byte{'B'}, std::byte{'O'}};

template <class Number>
void put(std::byte* at, Number value) noexcept {
  for (std::size_t i = 0; i < sizeof value; ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
}

template <class Number>
Number get(const std::byte* at) noexcept {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<Number>(value | static_cast<Number>(at[i]) << (8 * i));
  return value;
}

bool flags_allowed(const FrameHeader& header) noexcept {
  if (header.type == FrameType::call) {
    return (header.flags & ~(kOneWay | kTraced | kControl)) == 0 && !(header.has(kOneWay) && header.call_id != 0);
  }
  if (header.type == FrameType::error) return (header.flags & ~(kControl | kRefusal)) == 0;
  return header.flags == 0 || (header.type == FrameType::reply && header.flags == kControl);
}

}  // namespace

std::array<std::byte, FrameHeader::kBytes> encode(const FrameHeader& header) noexcept {
  std::array<std::byte, FrameHeader::kBytes> bytes{};
  put(&bytes[0], header.payload_bytes);
  bytes[4] = static_cast<std::byte>(header.type);
  bytes[5] = std::byte{header.flags};
  put(&bytes[6], header.core_or_code);
  put(&bytes[8], header.call_id);
  put(&bytes[12], header.object);
  put(&bytes[16], header.method);
  put(&bytes[24], header.timeout_ms);
  return bytes;
}

std::optional<FrameHeader> parse_header(std::span<const std::byte, FrameHeader::kBytes> bytes) noexcept {
  const auto type = static_cast<std::uint8_t>(bytes[4]);
  if (type < 1 || type > 7 || get<std::uint32_t>(&bytes[28]) != 0) return std::nullopt;
  FrameHeader header;
  header.type = FrameType{type};
  header.payload_bytes = get<std::uint32_t>(&bytes[0]);
  header.core_or_code = get<std::uint16_t>(&bytes[6]);
  header.call_id = get<std::uint32_t>(&bytes[8]);
  header.object = get<std::uint32_t>(&bytes[12]);
  header.method = get<std::uint64_t>(&bytes[16]);
  header.timeout_ms = get<std::uint32_t>(&bytes[24]);
  header.flags = static_cast<std::uint8_t>(bytes[5]);
  if (!flags_allowed(header)) return std::nullopt;
  const std::size_t prefix = header.has(kTraced) ? FrameHeader::kTraceBytes : 0;
  if (header.payload_bytes < prefix || header.payload_bytes - prefix > Messenger::kMaxPayloadBytes) return std::nullopt;
  if (header.type == FrameType::cancel && (header.payload_bytes != 0 || header.core_or_code != 0)) return std::nullopt;
  if (header.type == FrameType::error && header.payload_bytes > FrameHeader::kMaxErrorTextBytes) return std::nullopt;
  const bool says_one_thing =
      header.type == FrameType::ping || header.type == FrameType::pong || header.type == FrameType::goodbye;
  if (says_one_thing && header != FrameHeader{.type = header.type}) return std::nullopt;
  if (header.type == FrameType::reply && header.core_or_code != 0) return std::nullopt;
  if (header.type != FrameType::call && (header.object != 0 || header.method != 0 || header.timeout_ms != 0)) {
    return std::nullopt;
  }
  return header;
}

TraceBytes encode(const TraceContext& trace) noexcept {
  TraceBytes bytes{};
  put(&bytes[0], trace.trace_high);
  put(&bytes[8], trace.trace_low);
  put(&bytes[16], trace.span);
  bytes[24] = std::byte{trace.sampled};
  return bytes;
}

TraceContext parse_trace(std::span<const std::byte, FrameHeader::kTraceBytes> bytes) noexcept {
  return {get<std::uint64_t>(&bytes[0]), get<std::uint64_t>(&bytes[8]), get<std::uint64_t>(&bytes[16]),
          (bytes[24] & std::byte{1}) != std::byte{0}};
}

HelloBytes encode(const Hello& hello) noexcept {
  HelloBytes bytes{};
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  put(&bytes[4], hello.version);
  put(&bytes[6], hello.cores);
  put(&bytes[8], to_number(hello.node));
  put(&bytes[12], hello.listen.address);
  put(&bytes[16], hello.listen.port);
  put(&bytes[20], to_number(hello.wanted));
  std::copy(hello.nonce.begin(), hello.nonce.end(), &bytes[32]);
  return bytes;
}

std::optional<Hello> parse_hello(std::span<const std::byte, Hello::kBytes> bytes) noexcept {
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) return std::nullopt;
  Hello hello;
  hello.version = get<std::uint16_t>(&bytes[4]);
  if (hello.version != kProtocolVersion) return hello;
  if (get<std::uint16_t>(&bytes[18]) != 0 || get<std::uint64_t>(&bytes[24]) != 0) return std::nullopt;
  hello.cores = get<std::uint16_t>(&bytes[6]);
  hello.node = NodeId(get<std::uint32_t>(&bytes[8]));
  hello.listen = {get<std::uint32_t>(&bytes[12]), get<std::uint16_t>(&bytes[16])};
  hello.wanted = NodeId(get<std::uint32_t>(&bytes[20]));
  std::copy_n(&bytes[32], hello.nonce.size(), hello.nonce.begin());
  return hello;
}

std::array<std::byte, Verdict::kBytes> encode(const Verdict& verdict) noexcept {
  std::array<std::byte, Verdict::kBytes> bytes{};
  put(&bytes[0], static_cast<std::uint16_t>(verdict.status));
  std::copy(verdict.proof.begin(), verdict.proof.end(), &bytes[4]);
  return bytes;
}

Verdict parse_verdict(std::span<const std::byte, Verdict::kBytes> bytes) noexcept {
  Verdict verdict;
  const auto status = get<std::uint16_t>(&bytes[0]);
  verdict.status = status == 0 ? Errc::ok : to_code(status);
  std::copy_n(&bytes[4], verdict.proof.size(), verdict.proof.begin());
  return verdict;
}

Errc to_code(std::uint16_t number) noexcept {
  const bool known = number >= static_cast<std::uint16_t>(Errc::application_error) &&
                     number <= static_cast<std::uint16_t>(Errc::already_exists);
  return known ? Errc{number} : Errc::internal;
}

}  // namespace ebb::messenger
