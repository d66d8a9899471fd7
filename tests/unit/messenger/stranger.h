// Peers that are no messengers: they say what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "src/messenger/frame.h"
#include "src/messenger/handshake.h"
#include "tests/unit/messenger/pair.h"

namespace ebb::messenger_test {

/// A peer that is no messenger: connects and says what the test wants.
struct Stranger final : platform::StreamHandler {
  explicit Stranger(platform::Endpoint remote) { stream = platform::connect(remote, *this).value(); }
  void on_connected() override { connected = true; }
  void on_data(std::span<const std::byte> data) override { heard.insert(heard.end(), data.begin(), data.end()); }
  void on_writable() override {}
  void on_closed(Result<void>) override { closed = true; }
  std::unique_ptr<platform::Stream> stream;
  bool connected = false;
  bool closed = false;
  Bytes heard;
};

inline task<bool> becomes(const bool* flag, platform::Duration limit = 2s) {
  const auto is_so = [flag] { return *flag; };
  co_return co_await comes(is_so, limit);
}

/// A peer with the right key that breaks the protocol afterwards.
inline task<void> shake_hands(Stranger* stranger, messenger::Handshake* handshake) {
  co_await becomes(&stranger->connected);
  stranger->stream->send(handshake->begin());
  while (!handshake->done() && !stranger->closed) {
    if (stranger->heard.size() < handshake->needed()) {
      co_await sleep_for(1ms);
      continue;
    }
    const Bytes step(stranger->heard.begin(), stranger->heard.begin() + static_cast<std::ptrdiff_t>(handshake->needed()));
    stranger->heard.erase(stranger->heard.begin(), stranger->heard.begin() + static_cast<std::ptrdiff_t>(step.size()));
    Bytes output;
    EXPECT_TRUE(handshake->feed(step, output));
    stranger->stream->send(output);
  }
}

/// A stranger that has become node 7 and now talks to `pair.a`.
inline task<std::unique_ptr<Stranger>> join_as_node_7(Pair* pair) {
  auto stranger = std::make_unique<Stranger>(pair->a->local());
  const ClusterKey key = key_of('k');
  messenger::Handshake handshake(messenger::Handshake::Side::connecting,
                                 {messenger::kProtocolVersion, 1, NodeId{7}, {}, NodeId{1}, {}}, key);
  co_await shake_hands(stranger.get(), &handshake);
  // The answer to a call says that the other side has seen the end of the handshake too.
  stranger->heard.clear();
  stranger->stream->send(encode(messenger::FrameHeader{0, messenger::FrameType::call, 0, 1, 1025, echo, 1000}));
  const auto has_answered = [&stranger] { return !stranger->heard.empty() || stranger->closed; };
  EXPECT_TRUE(co_await comes(has_answered)) << "no answer to node 7";
  co_return stranger;
}

}  // namespace ebb::messenger_test
