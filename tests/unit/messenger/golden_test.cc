// The messenger's bytes, held fast as docs/protocol.md writes them: every kind of frame, and a whole handshake. Written out and not
// computed: two sides that err in the same way agree with each other. A change here is a new version of the protocol.
#include <gtest/gtest.h>
#include <sodium.h>

#include <string>

#include "src/messenger/frame.h"
#include "src/messenger/handshake.h"

namespace {

using namespace ebb;
using namespace ebb::messenger;

const std::string kVersion = "0500";

template <class Run>
std::string hexadecimal(const Run& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte each : bytes) {
    text += kDigits[std::to_integer<unsigned>(each) >> 4];
    text += kDigits[std::to_integer<unsigned>(each) & 15];
  }
  return text;
}

std::string zeros(std::size_t bytes) { return std::string(2 * bytes, '0'); }
std::string times(std::size_t count, const std::string& byte) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += byte;
  return text;
}

TEST(GoldenFrames, Call) {
  const FrameHeader header{0x00010203, FrameType::call, 0xffff, 0x0a0b0c0d, 1025, 0x1122334455667788, 30'000, kTraced};
  EXPECT_EQ(hexadecimal(encode(header)), "03020100" "01" "02" "ffff" "0d0c0b0a" "01040000" "8877665544332211" "30750000" "00000000");
}

TEST(GoldenFrames, OneWayCallOfTheRuntime) {
  const FrameHeader header{0, FrameType::call, 3, 0, 7, 1, 0, kOneWay | kControl};
  EXPECT_EQ(hexadecimal(encode(header)), "00000000" "01" "05" "0300" "00000000" "07000000" "0100000000000000" "00000000" "00000000");
}

TEST(GoldenFrames, Trace) {
  const TraceContext trace{0x0102030405060708, 0x1112131415161718, 0x2122232425262728, true};
  EXPECT_EQ(hexadecimal(encode(trace)), "0807060504030201" "1817161514131211" "2827262524232221" "01");
}

TEST(GoldenFrames, Reply) {
  const FrameHeader header{8, FrameType::reply, 0, 0x0a0b0c0d, 0, 0, 0};
  EXPECT_EQ(hexadecimal(encode(header)), "08000000" "02" "00" "0000" "0d0c0b0a" + zeros(20));
}

TEST(GoldenFrames, Error) {
  const FrameHeader header{4, FrameType::error, static_cast<std::uint16_t>(Errc::no_such_method), 1, 0, 0, 0, kControl};
  EXPECT_EQ(hexadecimal(encode(header)), "04000000" "03" "04" "0600" "01000000" + zeros(20));
}

TEST(GoldenFrames, Ping) { EXPECT_EQ(hexadecimal(encode(FrameHeader{})), "00000000" "04" + zeros(27)); }

TEST(GoldenFrames, PongAndGoodbye) {
  EXPECT_EQ(hexadecimal(encode(FrameHeader{0, FrameType::pong, 0, 0, 0, 0, 0})), "00000000" "06" + zeros(27));
  EXPECT_EQ(hexadecimal(encode(FrameHeader{0, FrameType::goodbye, 0, 0, 0, 0, 0})), "00000000" "07" + zeros(27));
}

TEST(GoldenFrames, Cancel) {
  const FrameHeader header{0, FrameType::cancel, 0, 0x0a0b0c0d, 0, 0, 0};
  EXPECT_EQ(hexadecimal(encode(header)), "00000000" "05" "00" "0000" "0d0c0b0a" + zeros(20));
}

Hello hello(std::uint16_t cores, std::uint32_t node, platform::Endpoint listen, NodeId wanted, int nonce) {
  Hello result{kProtocolVersion, cores, NodeId(node), listen, wanted, {}};
  result.nonce.fill(static_cast<std::byte>(nonce));
  return result;
}
const Hello kConnecting = hello(4, 7, {0x0a580007, 7001}, NodeId{2}, 0x5a);
const Hello kAccepting = hello(1, 2, {0x0a580002, 65535}, kNoNode, 0xa5);
const std::string kConnectingHello =
    "4d4c424f" + kVersion + "0400" "07000000" "0700580a" "591b" "0000" "02000000" + zeros(8) + times(32, "5a");
const std::string kAcceptingHello =
    "4d4c424f" + kVersion + "0100" "02000000" "0200580a" "ffff" "0000" "ffffffff" + zeros(8) + times(32, "a5");

/// As the protocol says: under the key over one letter, the sender's hello, the receiver's.
std::string proof(const ClusterKey& key, char letter, const Hello& sender, const Hello& receiver) {
  Bytes message{static_cast<std::byte>(letter)};
  for (const HelloBytes& each : {encode(sender), encode(receiver)}) message.insert(message.end(), each.begin(), each.end());
  Proof result;
  crypto_auth_hmacsha256(reinterpret_cast<unsigned char*>(result.data()), reinterpret_cast<const unsigned char*>(message.data()),
                         message.size(), reinterpret_cast<const unsigned char*>(key.data()));
  return hexadecimal(result);
}

TEST(GoldenHandshake, IsHelloHelloVerdictVerdict) {
  ClusterKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<decltype(key)::value_type>(i);
  Handshake connecting(Handshake::Side::connecting, kConnecting, key);
  Handshake accepting(Handshake::Side::accepting, kAccepting, key);
  const Bytes first = connecting.begin();
  EXPECT_EQ(hexadecimal(first), kConnectingHello);
  Bytes second;
  ASSERT_TRUE(accepting.feed(first, second));
  EXPECT_EQ(hexadecimal(second), kAcceptingHello + "0000" "0000" + proof(key, 'S', kAccepting, kConnecting));
  Bytes third;
  ASSERT_TRUE(connecting.feed(std::span(second).first(Hello::kBytes), third));
  ASSERT_TRUE(connecting.feed(std::span(second).subspan(Hello::kBytes), third));
  EXPECT_EQ(hexadecimal(third), "0000" "0000" + proof(key, 'C', kConnecting, kAccepting));
  ASSERT_TRUE(accepting.feed(third, second));
  EXPECT_TRUE(connecting.done() && accepting.done());
}

TEST(GoldenHandshake, RefusesWithAReasonAndNoProof) {
  EXPECT_EQ(hexadecimal(encode(Verdict{Errc::unauthenticated, {}})), "0b00" "0000" + zeros(32));
  EXPECT_EQ(hexadecimal(encode(Verdict{Errc::version_mismatch, {}})), "1300" "0000" + zeros(32));
}

}  // namespace
