#include "tests/fuzz/messenger/connection_harness.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ebb/async/runtime.h"
#include "ebb/async/scope.h"
#include "ebb/async/sleep.h"
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
  std::vector<Result<Bytes>> answers;  // to what was asked
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

/// How an input is played.
struct Way {
  bool proved = false;    ///< the peer has shaken hands
  bool asked = false;     ///< and is to answer kCalls calls
  std::size_t piece = 0;  ///< bytes that arrive together
};

/// The first calls of a connection have these ids, from 0.
constexpr std::uint32_t kCalls = 3;

void play(Connection& connection, std::span<const std::byte> input, std::size_t piece) {
  while (!input.empty()) {
    const auto next = input.first(std::min(piece, input.size()));
    input = input.subspan(next.size());
    connection.on_data(next);
    connection.flush();
  }
}

task<void> ask(Connection* connection, std::uint32_t number, std::vector<std::optional<Result<Bytes>>>* answers) {
  // Every other one of the runtime, which has a queue of its own.
  CallTarget target{kPeer, ObjectId{number % 2 == 0 ? 2000u : 2u}, CoreIndex{0}, number, Messenger::kMaxTimeout, {}, {}};
  Result<Bytes> answer = co_await connection->call(std::move(target), platform::Clock::now() + Messenger::kMaxTimeout, Bytes(number));
  require(!(*answers)[number].has_value(), "a call has ended twice");
  (*answers)[number] = std::move(answer);
}

/// Calls need a core: this is its main.
task<int> play_while_asking(Connection* connection, std::span<const std::byte> input, std::size_t piece, Heard* heard) {
  std::vector<std::optional<Result<Bytes>>> answers(kCalls);
  Scope scope;
  for (std::uint32_t number = 0; number < kCalls; ++number) scope.spawn(ask(connection, number, &answers));
  for (std::uint32_t turn = 0; turn < kCalls; ++turn) co_await yield();
  connection->flush();
  play(*connection, input, piece);
  // Who has an answer goes on, and is gone when the others are told: nobody may be told twice.
  for (std::uint32_t turn = 0; turn < kCalls; ++turn) co_await yield();
  connection->cancel_calls(Error(Errc::cancelled, "the input is over"));
  co_await scope.join();
  for (auto& answer : answers) heard->answers.push_back(*std::move(answer));
  co_return 0;
}

Heard hear(std::span<const std::byte> input, Way way) {
  static constexpr ClusterKey key{};
  Heard heard;
  const auto wire = std::make_shared<Wire>();
  const auto connection =
      std::make_shared<Connection>(heard, Handshake::Side::accepting, hello(kSelf, kNoNode), key);
  connection->adopt(std::make_unique<FakeStream>(wire));
  if (way.proved) shake_hands(*connection, *wire, key);
  if (way.asked) {
    const auto main = [&] { return play_while_asking(connection.get(), input, way.piece, &heard); };
    require(run_cores(1, main) == 0, "the core has failed");
  } else {
    play(*connection, input, way.piece);
  }
  require(heard.ended.has_value() == wire->closed, "a stream that outlives its connection, or the reverse");
  return heard;
}

bool same_answer(const Result<Bytes>& a, const Result<Bytes>& b) {
  if (a.code() != b.code()) return false;
  return a ? *a == *b : a.error().text() == b.error().text() && a.error().is_refusal() == b.error().is_refusal();
}

}  // namespace

void check(std::span<const std::byte> input) {
  if (input.empty()) return;
  const auto first = static_cast<unsigned>(input[0]);
  input = input.subspan(1);
  Way way{first % 4 != 0, first % 4 >= 2, input.size() + 1};
  const Heard whole = hear(input, way);
  way.piece = 1 + first / 4;
  const Heard pieces = hear(input, way);
  require(whole.ended == pieces.ended && whole.established == pieces.established, "pieces and the whole end differently");
  require(std::equal(whole.calls.begin(), whole.calls.end(), pieces.calls.begin(), pieces.calls.end(), same),
          "pieces and the whole are different calls");
  require(std::equal(whole.answers.begin(), whole.answers.end(), pieces.answers.begin(), pieces.answers.end(), same_answer),
          "pieces and the whole are different answers");
}

}  // namespace ebb::messenger::fuzz
