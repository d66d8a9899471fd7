// Two messengers of one process, talking over loopback, for tests.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/messenger/messenger.h"

namespace ebb::messenger_test {

using namespace std::chrono_literals;

inline constexpr platform::Endpoint kLoopback{0x7f000001, 0};

/// Waits until `holds()`; false if that has not come in time.
template <class Condition>
task<bool> comes(Condition holds, platform::Duration limit = 10s) {
  for (const auto end = platform::Clock::now() + limit; !holds() && platform::Clock::now() < end;) co_await sleep_for(1ms);
  co_return holds();
}

inline ClusterKey key_of(int letter) {
  ClusterKey key;
  key.fill(static_cast<std::byte>(letter));
  return key;
}

inline Bytes bytes(std::string_view text) {
  Bytes result(text.size());
  std::memcpy(result.data(), text.data(), text.size());
  return result;
}

enum Method : std::uint64_t { echo, fail, fail_at_length, never, hold, big, until_cancelled, largest, refuse, fail_overloaded, note, leave };

struct Peer final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall call) override {
    ++calls;
    if (Core::current().index() == CoreIndex{0}) last = {call.from, call.object, call.core, call.method, {}, {}, call.trace, nullptr, call.one_way};
    return answer(this, std::move(call));
  }
  static task<void> count_cancelled(cancel_token token, Peer* self) {
    // Named: gcc 12 never runs an `if (co_await temporary)` in a coroutine that has no local variable.
    const bool fired = co_await token.cancelled();
    if (fired) ++self->cancelled;
  }
  static task<Result<Bytes>> answer(Peer* self, IncomingCall call) {
    switch (call.method) {
      case fail: co_return Error(Errc::application_error, "std::runtime_error: no");
      case fail_at_length: co_return Error(Errc::application_error, std::string(5000, 'e'));
      case refuse: co_return Error::refusal(Errc::overloaded, "no room");
      case fail_overloaded: co_return Error(Errc::overloaded, "the method's own");
      case never: co_await sleep_for(200ms); co_return Bytes();
      case hold: co_await self->released; co_return Bytes();
      case until_cancelled:
        co_await count_cancelled(call.cancellation->token(), self);
        co_return Bytes();
      case big: co_return Bytes(Messenger::kMaxPayloadBytes + 1);
      case note:
        self->noted.push_back(std::stoi(std::string(reinterpret_cast<const char*>(call.arguments.data()), call.arguments.size())));
        co_return Bytes();
      case leave: throw std::runtime_error("left");
      case largest: co_return Bytes(Messenger::kMaxPayloadBytes);
      default: co_return std::move(call.arguments);
    }
  }
  void on_connection_lost(NodeId peer, const Error& reason) override {
    if (Core::current().index() == CoreIndex{0}) lost.emplace_back(peer, reason);
  }

  std::atomic<int> calls = 0;
  std::atomic<int> cancelled = 0;
  IncomingCall last;
  Completion<> released;
  std::vector<int> noted;  // by calls of `note`, on one core
  std::vector<std::pair<NodeId, Error>> lost;
};

struct Pair {
  Peer left;
  Peer right;
  std::unique_ptr<Messenger> a;  // node 1
  std::unique_ptr<Messenger> b;  // node 2

  task<void> start(int key_a = 'k', int key_b = 'k') {
    a = (co_await Messenger::start({NodeId{1}, key_of(key_a), kLoopback}, left)).value();
    b = (co_await Messenger::start({NodeId{2}, key_of(key_b), kLoopback}, right)).value();
    co_await a->set_peer(NodeId{2}, b->local());
    co_await b->set_peer(NodeId{1}, a->local());
  }
  task<void> close() {
    co_await a->close();
    co_await b->close();
  }
};

inline CallTarget to(std::uint32_t node, std::uint64_t method, platform::Duration timeout = 10s) {
  return {NodeId{node}, ObjectId{1025}, CoreIndex{3}, method, timeout, {}, {}};
}

/// The same to an object of the runtime.
inline CallTarget control_to(std::uint32_t node, std::uint64_t method) {
  CallTarget target = to(node, method);
  target.object = ObjectId{2};
  return target;
}

template <class Test>
void run(std::size_t cores, Test test) {
  EXPECT_EQ(run_cores(cores, test), 0);
}

inline task<void> expect_code(Messenger* messenger, CallTarget target, Errc code, int* ended) {
  const auto answer = co_await messenger->call(target, Bytes());
  EXPECT_EQ(answer.code(), code);
  ++*ended;
}

}  // namespace ebb::messenger_test
