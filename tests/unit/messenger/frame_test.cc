#include "src/messenger/frame.h"

#include <gtest/gtest.h>

#include <random>

#include "ebb/messenger/messenger.h"

namespace {

using namespace ebb;
using namespace ebb::messenger;

TEST(Frame, LaysACallOutAsTheProtocolSays) {
  const FrameHeader header{0x01020304, FrameType::call, 0xffff, 0x0a0b0c0d, 1025, 0x1122334455667788, 30'000};
  const auto bytes = encode(header);
  const unsigned char expected[] = {4, 3, 2, 1, 1, 0, 0xff, 0xff, 0x0d, 0x0c, 0x0b, 0x0a, 1, 4, 0, 0,
                                    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x30, 0x75, 0, 0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(static_cast<unsigned char>(bytes[i]), expected[i]) << i;
}

TEST(Frame, LaysARefusalOutAsTheProtocolSays) {
  const auto bytes = encode({5, FrameType::error, static_cast<std::uint16_t>(Errc::overloaded), 0x0a0b0c0d, 0, 0, 0, kRefusal});
  const unsigned char expected[] = {5, 0, 0, 0, 3, 8, 8, 0, 0x0d, 0x0c, 0x0b, 0x0a};
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(static_cast<unsigned char>(bytes[i]), i < 12 ? expected[i] : 0) << i;
}

TEST(Frame, ComesBackFromItsBytes) {
  for (const FrameHeader& header : {FrameHeader{7, FrameType::call, 3, 9, 1024, 5, 6}, FrameHeader{8, FrameType::reply, 0, 9, 0, 0, 0},
                                    FrameHeader{9, FrameType::error, 4, 9, 0, 0, 0}, FrameHeader{},
                                    FrameHeader{25, FrameType::call, 3, 0, 1024, 5, 6, kOneWay | kTraced | kControl},
                                    FrameHeader{9, FrameType::error, 4, 9, 0, 0, 0, kControl},
                                    FrameHeader{9, FrameType::error, 8, 9, 0, 0, 0, kControl | kRefusal},
                                    FrameHeader{0, FrameType::cancel, 0, 9, 0, 0, 0}, FrameHeader{0, FrameType::pong, 0, 0, 0, 0, 0},
                                    FrameHeader{0, FrameType::goodbye, 0, 0, 0, 0, 0}}) {
    EXPECT_EQ(parse_header(encode(header)), header);
  }
}

TEST(Frame, IsRefusedWhenItBreaksARule) {
  const auto broken = [](std::size_t at, int value, FrameHeader header = {7, FrameType::call, 3, 9, 1024, 5, 6}) {
    auto bytes = encode(header);
    bytes[at] = static_cast<std::byte>(value);
    return parse_header(bytes);
  };
  EXPECT_EQ(broken(4, 0), std::nullopt) << "no type";
  EXPECT_EQ(broken(4, 8, {}), std::nullopt) << "unknown type";
  EXPECT_EQ(broken(5, 16), std::nullopt) << "an unknown flag";
  EXPECT_EQ(broken(5, kRefusal), std::nullopt) << "a call that is a refusal";
  EXPECT_EQ(broken(5, kRefusal, {8, FrameType::reply, 0, 9, 0, 0, 0}), std::nullopt) << "a reply that is one";
  EXPECT_EQ(broken(5, kOneWay), std::nullopt) << "a one-way call with an id";
  EXPECT_EQ(broken(5, kTraced), std::nullopt) << "a traced call without its trace";
  EXPECT_EQ(broken(5, kTraced, {8, FrameType::reply, 0, 9, 0, 0, 0}), std::nullopt) << "a traced reply";
  EXPECT_EQ(broken(5, kControl, {}), std::nullopt) << "a ping with a flag";
  EXPECT_EQ(broken(0, 1, {0, FrameType::cancel, 0, 9, 0, 0, 0}), std::nullopt) << "a cancellation with a payload";
  EXPECT_EQ(broken(12, 1, {0, FrameType::cancel, 0, 9, 0, 0, 0}), std::nullopt) << "a cancellation with an object";
  EXPECT_EQ(broken(31, 1), std::nullopt) << "must be zero";
  EXPECT_EQ(broken(3, 1), std::nullopt) << "a payload above the bound";
  EXPECT_EQ(broken(16, 1, {8, FrameType::reply, 0, 9, 0, 0, 0}), std::nullopt) << "a reply with a method";
  EXPECT_EQ(broken(0, 1, {}), std::nullopt) << "a ping with a payload";
  EXPECT_EQ(broken(8, 1, {0, FrameType::pong, 0, 0, 0, 0, 0}), std::nullopt) << "a pong with an id";
  EXPECT_EQ(broken(0, 1, {0, FrameType::goodbye, 0, 0, 0, 0, 0}), std::nullopt) << "a goodbye with a payload";
  FrameHeader largest{static_cast<std::uint32_t>(Messenger::kMaxPayloadBytes), FrameType::call, 0, 0, 0, 0, 0};
  EXPECT_EQ(parse_header(encode(largest)), largest);
  ++largest.payload_bytes;
  EXPECT_EQ(parse_header(encode(largest)), std::nullopt);
}

TEST(Frame, LetsATraceComeOnTopOfTheLargestPayload) {
  FrameHeader largest{static_cast<std::uint32_t>(Messenger::kMaxPayloadBytes + FrameHeader::kTraceBytes), FrameType::call,
                      0, 0, 0, 0, 0, kTraced};
  EXPECT_EQ(parse_header(encode(largest)), largest);
  ++largest.payload_bytes;
  EXPECT_EQ(parse_header(encode(largest)), std::nullopt);
}

TEST(Frame, CarriesATraceAsTheProtocolSays) {
  const TraceContext trace{0x0102030405060708, 0x1112131415161718, 0x2122232425262728, true};
  const TraceBytes bytes = encode(trace);
  EXPECT_EQ(bytes[0], std::byte{8});
  EXPECT_EQ(bytes[8], std::byte{0x18});
  EXPECT_EQ(bytes[16], std::byte{0x28});
  EXPECT_EQ(bytes[24], std::byte{1});
  EXPECT_EQ(parse_trace(bytes), trace);
}

TEST(Hello, ComesBackFromItsBytes) {
  Hello hello{kProtocolVersion, 4, NodeId{7}, {0x0a580001, 7001}, NodeId{2}, {}};
  hello.nonce.fill(std::byte{0x5a});
  EXPECT_EQ(parse_hello(encode(hello)), hello);
  auto bytes = encode(hello);
  bytes[0] = std::byte{'m'};
  EXPECT_EQ(parse_hello(bytes), std::nullopt);
  bytes = encode(hello);
  bytes[24] = std::byte{1};
  EXPECT_EQ(parse_hello(bytes), std::nullopt);
}

TEST(Verdict, ReadsUnknownCodesAsInternal) {
  auto bytes = encode(Verdict{Errc::unauthenticated, {}});
  EXPECT_EQ(parse_verdict(bytes).status, Errc::unauthenticated);
  bytes[1] = std::byte{9};
  EXPECT_EQ(parse_verdict(bytes).status, Errc::internal);
}

TEST(Frame, ParsersTakeRandomBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 100'000; ++round) {
    std::array<std::byte, 64> bytes;
    for (auto& each : bytes) each = static_cast<std::byte>(random());
    if (round % 2) bytes[4] = static_cast<std::byte>(round % 7), bytes[5] = bytes[3] = std::byte{0};
    const auto header = parse_header(std::span(bytes).first<FrameHeader::kBytes>());
    if (header) {
      EXPECT_LE(header->payload_bytes, Messenger::kMaxPayloadBytes);
    }
    static_cast<void>(parse_hello(bytes));
    static_cast<void>(parse_verdict(std::span(bytes).first<Verdict::kBytes>()));
  }
}

}  // namespace
