#include "src/messenger/handshake.h"

#include <gtest/gtest.h>

namespace {

using namespace ebb;
using namespace ebb::messenger;
using Side = Handshake::Side;

ClusterKey key_of(int letter) {
  ClusterKey key;
  key.fill(static_cast<std::byte>(letter));
  return key;
}

Hello hello(std::uint32_t node, NodeId wanted, int nonce) {
  Hello result{kProtocolVersion, 2, NodeId{node}, {0x7f000001, 7000}, wanted, {}};
  result.nonce.fill(static_cast<std::byte>(nonce));
  return result;
}

struct Outcome {
  Result<void> connecting;
  Result<void> accepting;
};

/// Passes messages until both are done or one has failed; `garble` may change what the accepting side says.
Outcome shake(Handshake& connecting, Handshake& accepting, void (*garble)(Bytes&) = nullptr) {
  Outcome outcome;
  Bytes to_accepting = connecting.begin();
  Bytes to_connecting = accepting.begin();
  for (int step = 0; step < 8; ++step) {
    if (accepting.needed() != 0 && to_accepting.size() >= accepting.needed() && outcome.accepting) {
      const std::size_t needed = accepting.needed();
      outcome.accepting = accepting.feed(std::span(to_accepting).first(needed), to_connecting);
      to_accepting.erase(to_accepting.begin(), to_accepting.begin() + static_cast<std::ptrdiff_t>(needed));
      if (garble != nullptr) garble(to_connecting);
    }
    if (connecting.needed() != 0 && to_connecting.size() >= connecting.needed() && outcome.connecting) {
      const std::size_t needed = connecting.needed();
      outcome.connecting = connecting.feed(std::span(to_connecting).first(needed), to_accepting);
      to_connecting.erase(to_connecting.begin(), to_connecting.begin() + static_cast<std::ptrdiff_t>(needed));
    }
  }
  return outcome;
}

TEST(Handshake, TellsBothSidesWhoTheOtherIs) {
  const ClusterKey key = key_of('k');
  Handshake connecting(Side::connecting, hello(3, NodeId{0}, 1), key);
  Handshake accepting(Side::accepting, hello(0, kNoNode, 2), key);
  const Outcome outcome = shake(connecting, accepting);
  EXPECT_TRUE(outcome.connecting && outcome.accepting);
  ASSERT_TRUE(connecting.done() && accepting.done());
  EXPECT_EQ(accepting.peer().node, NodeId{3});
  EXPECT_EQ(accepting.peer().cores, 2);
  EXPECT_EQ(connecting.peer().node, NodeId{0});
}

TEST(Handshake, FailsOnBothSidesWithDifferentKeys) {
  const ClusterKey mine = key_of('a');
  const ClusterKey theirs = key_of('b');
  Handshake connecting(Side::connecting, hello(3, NodeId{0}, 1), mine);
  Handshake accepting(Side::accepting, hello(0, kNoNode, 2), theirs);
  const Outcome outcome = shake(connecting, accepting);
  EXPECT_EQ(outcome.connecting.code(), Errc::unauthenticated);
  EXPECT_EQ(outcome.accepting.code(), Errc::unauthenticated);
  EXPECT_FALSE(connecting.done() || accepting.done());
}

TEST(Handshake, RefusesAPeerThatOnlyRepeatsWhatItHears) {
  // A mirror sends each side's own messages back: the role in the proof makes them worthless.
  const ClusterKey key = key_of('k');
  Handshake connecting(Side::connecting, hello(0, NodeId{0}, 1), key);
  Bytes said = connecting.begin();
  Bytes more;
  ASSERT_TRUE(connecting.feed(said, more));
  Handshake victim(Side::accepting, hello(0, kNoNode, 1), key);
  Bytes answer;
  ASSERT_TRUE(victim.feed(said, answer));
  const Result<void> fed = victim.feed(std::span(answer).last(Verdict::kBytes), more);
  EXPECT_EQ(fed.code(), Errc::unauthenticated);
}

TEST(Handshake, NamesAVersionItDoesNotSpeak) {
  const ClusterKey key = key_of('k');
  Hello newer = hello(3, NodeId{0}, 1);
  newer.version = 9;
  Handshake connecting(Side::connecting, newer, key);
  Handshake accepting(Side::accepting, hello(0, kNoNode, 2), key);
  const Outcome outcome = shake(connecting, accepting);
  EXPECT_EQ(outcome.accepting.code(), Errc::version_mismatch);
  EXPECT_NE(outcome.accepting.error().text().find("version 9"), std::string::npos);
  EXPECT_EQ(outcome.connecting.code(), Errc::version_mismatch);
}

TEST(Handshake, RefusesConnectionsMeantForAnotherNode) {
  const ClusterKey key = key_of('k');
  Handshake connecting(Side::connecting, hello(3, NodeId{5}, 1), key);
  Handshake accepting(Side::accepting, hello(0, kNoNode, 2), key);
  const Outcome outcome = shake(connecting, accepting);
  EXPECT_EQ(outcome.accepting.code(), Errc::not_found);
  EXPECT_EQ(outcome.connecting.code(), Errc::not_found);
}

TEST(Handshake, EndsWithStrangers) {
  const ClusterKey key = key_of('k');
  Handshake accepting(Side::accepting, hello(0, kNoNode, 2), key);
  Bytes output;
  const Bytes web(Hello::kBytes, std::byte{'G'});
  EXPECT_EQ(accepting.feed(web, output).code(), Errc::malformed);
  EXPECT_TRUE(output.empty()) << "a stranger learns nothing";
}

TEST(Handshake, NoticesEveryChangedBitOfAProof) {
  const ClusterKey key = key_of('k');
  for (std::size_t bit = 0; bit < 8 * sizeof(Proof); bit += 37) {
    Handshake connecting(Side::connecting, hello(3, NodeId{0}, 1), key);
    Handshake accepting(Side::accepting, hello(0, kNoNode, 2), key);
    Bytes answer;
    ASSERT_TRUE(accepting.feed(connecting.begin(), answer));
    answer[Hello::kBytes + 4 + bit / 8] ^= std::byte{1} << bit % 8;
    Bytes output;
    ASSERT_TRUE(connecting.feed(std::span(answer).first(Hello::kBytes), output));
    EXPECT_EQ(connecting.feed(std::span(answer).subspan(Hello::kBytes), output).code(), Errc::unauthenticated) << bit;
  }
}

}  // namespace
