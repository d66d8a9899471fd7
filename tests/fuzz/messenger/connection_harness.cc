#include "tests/fuzz/messenger/connection_harness.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "src/messenger/connection.h"

namespace ebb::messenger::fuzz {
namespace {

constexpr NodeId kSelf{1};
constexpr NodeId kPeer{2};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "messenger fuzzer: %s\n", what);
  std::abort();
}

struct Wire {
  Bytes sent;
  bool closed = false;
};

struct FakeStream final : platform::Stream {
  explicit FakeStream(std::shared_ptr<Wire> to) : wire(std::move(to)) {}
  void set_handler(platform::StreamHandler&) noexcept override {}
  std::size_t send(std::span<const std::byte> bytes) override {
    wire->sent.insert(wire->sent.end(), bytes.begin(), bytes.end());
    return bytes.size();
  }
  void set_reading(bool) override {}
  void close() override { wire->closed = true; }
  platform::Endpoint local() const override { return {}; }
  platform::Endpoint remote() const override { return {}; }
  std::shared_ptr<Wire> wire;
};

/// What one connection made of its input.
struct Heard final : ConnectionOwner {
  void on_established(Connection& connection) override {
    require(!ended, "established after its end");
    established = connection.peer();
  }
  void on_call(Connection& connection, std::uint32_t call_id, IncomingCall call) override {
    require(established == kPeer && !ended, "a call from a peer that has proved nothing");
    require(call.arguments.size() <= Messenger::kMaxPayloadBytes, "arguments above the bound");
    calls.emplace_back(call_id, std::move(call));
    require(!call.one_way || call_id == 0, "a one-way call with an id");
    if (!call.one_way) connection.answer_error(call_id, Error(Errc::no_such_object, "none"), is_control(call.object));
  }
  void on_ended(Connection&, const Error& reason) override {
    require(!ended, "two ends");
    ended = reason.code();
  }
  void on_output(Connection&) override {}
  void on_awake(Connection&) noexcept override {}

  NodeId established = kNoNode;
  std::vector<std::pair<std::uint32_t, IncomingCall>> calls;
  std::optional<Errc> ended;
};

bool same(const std::pair<std::uint32_t, IncomingCall>& a, const std::pair<std::uint32_t, IncomingCall>& b) {
  const IncomingCall& x = a.second;
  const IncomingCall& y = b.second;
  return a.first == b.first && x.object == y.object && x.core == y.core && x.method == y.method && x.one_way == y.one_way && x.trace == y.trace && x.arguments == y.arguments;
}

Hello hello(NodeId node, NodeId wanted) {
  Hello result{kProtocolVersion, 1, node, {}, wanted, {}};
  result.nonce.fill(static_cast<std::byte>(to_number(node)));
  return result;
}

void shake_hands(Connection& connection, Wire& wire, const ClusterKey& key) {
  Handshake peer(Handshake::Side::connecting, hello(kPeer, kSelf), key);
  connection.on_data(peer.begin());
  while (!peer.done()) {
    const Bytes step(wire.sent.begin(), wire.sent.begin() + static_cast<std::ptrdiff_t>(peer.needed()));
    wire.sent.erase(wire.sent.begin(), wire.sent.begin() + static_cast<std::ptrdiff_t>(step.size()));
    Bytes said;
    require(peer.feed(step, said).has_value(), "an honest peer is refused");
    if (!said.empty()) connection.on_data(said);
  }
}

Heard hear(std::span<const std::byte> input, bool proved, std::size_t piece) {
  static constexpr ClusterKey key{};
  Heard heard;
  const auto wire = std::make_shared<Wire>();
  const auto connection =
      std::make_shared<Connection>(heard, Handshake::Side::accepting, hello(kSelf, kNoNode), key);
  connection->adopt(std::make_unique<FakeStream>(wire));
  if (proved) shake_hands(*connection, *wire, key);
  while (!input.empty()) {
    const auto next = input.first(std::min(piece, input.size()));
    input = input.subspan(next.size());
    connection->on_data(next);
    connection->flush();
  }
  require(heard.ended.has_value() == wire->closed, "a stream that outlives its connection, or the reverse");
  return heard;
}

}  // namespace

void check(std::span<const std::byte> input) {
  if (input.empty()) return;
  const auto first = static_cast<unsigned>(input[0]);
  input = input.subspan(1);
  const bool proved = first % 4 != 0;
  const Heard whole = hear(input, proved, input.size() + 1);
  const Heard pieces = hear(input, proved, 1 + first / 4);
  require(whole.ended == pieces.ended && whole.established == pieces.established, "pieces and the whole end differently");
  require(std::equal(whole.calls.begin(), whole.calls.end(), pieces.calls.begin(), pieces.calls.end(), same),
          "pieces and the whole are different calls");
}

}  // namespace ebb::messenger::fuzz
