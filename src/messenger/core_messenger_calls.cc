// Calls of one core: those it makes, to itself and by its connections, and those that come to it.
#include <algorithm>
#include <coroutine>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "ebb/async/turn.h"
#include "src/messenger/core_messenger.h"

namespace ebb::messenger {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

Result<void> check(const CallTarget& target, const Bytes& arguments) {
  if (arguments.size() > Messenger::kMaxPayloadBytes) {
    return Error(Errc::too_large, "the arguments have " + std::to_string(arguments.size()) + " bytes; " +
                                      std::to_string(Messenger::kMaxPayloadBytes) + " travel at most, send them in parts");
  }
  if (target.timeout <= platform::Duration::zero() || target.timeout > Messenger::kMaxTimeout) {
    return Error(Errc::invalid_argument, "a call's timeout lies above zero and within an hour");
  }
  if (target.cancellation.is_cancelled()) return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
  return {};
}

IncomingCall to_self(const CallTarget& target, platform::Instant deadline, Bytes arguments) {
  IncomingCall call;
  call.from = target.node;
  call.object = target.object;
  call.core = target.core;
  call.method = target.method;
  call.deadline = deadline;
  call.arguments = std::move(arguments);
  call.trace = target.trace;
  return call;
}

/// `co_await its_turn`: goes on as an event when the call's object has its turn, at the next turn of the loop if it is one of
/// control. False if too many wait. Stays where it is until then.
class ItsTurn : private detail::Turn {
 public:
  ItsTurn(ObjectId called, bool control) noexcept
      : Turn(called, [](Turn& turn) { static_cast<ItsTurn&>(turn).call_.resume(); }), control_(control) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> call) {
    call_ = call;
    if (!control_ && detail::wait_for_turn(*this)) return;
    has_turn_ = control_;
    Core::current().resume_soon(call);
  }
  bool await_resume() const noexcept { return has_turn_; }

 private:
  const bool control_;
  bool has_turn_ = true;
  std::coroutine_handle<> call_ = nullptr;
};

/// What the caller learns of the exception that is being handled; `ran`: its call may have begun.
Error to_caller(bool ran) noexcept {
  try {
    if (!ran) return Error::refusal(Errc::overloaded, "no memory for the call; nothing ran, try again later");
    try {
      throw;
    } catch (const ErrorException& thrown) {
      return Error(thrown.error().code(), thrown.error().text());
    } catch (const std::bad_alloc&) {
      return Error(Errc::resource_exhausted, "there was no memory for the call; it may or may not have run to its end");
    } catch (const std::exception& thrown) {
      return Error(Errc::internal, detail::text_of(thrown));
    } catch (...) {
      return Error(Errc::internal, "an exception that is no std::exception left the call");
    }
  } catch (...) {
    return Error(Errc::resource_exhausted, "no memory");  // a text so short needs none
  }
}

}  // namespace

task<Result<CoreMessenger::Shared>> CoreMessenger::reach(const CallTarget& target, platform::Instant deadline) {
  const NodeId node = target.node;
  auto connected = co_await connection_to(node, deadline, target.cancellation, is_control(target.object));
  // It may have ended between its establishment and this turn.
  if (connected && !(*connected)->established()) co_return never_sent(named(node) + " closed its connection");
  co_return connected;
}

task<Result<Bytes>> CoreMessenger::call(CallTarget target, Bytes arguments) {
  if (Result<void> checked = check(target, arguments); !checked) co_return std::move(checked).error();
  const platform::Instant deadline = platform::Clock::now() + target.timeout;
  if (target.node == options_.self) {
    // A named value: gcc 12 destroys a braced argument of an awaited call twice.
    IncomingCall own = to_self(target, deadline, std::move(arguments));
    co_return co_await handler_.on_call(std::move(own));
  }
  const auto found = peers_.find(target.node);
  Shared connection = found != peers_.end() ? found->second.connection : nullptr;
  if (!connection) {
    auto reached = co_await reach(target, deadline);
    if (!reached) co_return std::move(reached).error();
    connection = *std::move(reached);
  }
  co_return co_await connection->call(std::move(target), deadline, std::move(arguments));
}

task<Result<void>> CoreMessenger::send(CallTarget target, Bytes arguments) {
  if (Result<void> checked = check(target, arguments); !checked) co_return checked;
  const platform::Instant deadline = platform::Clock::now() + target.timeout;
  if (target.node == options_.self) {
    if (closing_) co_return closing();
    if (scope_.running() >= kMaxIncomingCalls) {
      co_return Error(Errc::overloaded, std::to_string(kMaxIncomingCalls) + " one-way calls of this node to itself are "
                                                                           "under way; try again later");
    }
    IncomingCall own = to_self(target, deadline, std::move(arguments));
    own.one_way = true;
    scope_.spawn(run_one_way(std::move(own)));
    co_return Result<void>();
  }
  auto reached = co_await reach(target, deadline);
  if (!reached) co_return std::move(reached).error();
  const Shared connection = *std::move(reached);
  co_return co_await connection->send(std::move(target), deadline, std::move(arguments));
}

task<void> CoreMessenger::run_one_way(IncomingCall call) {
  ServedCall served(0, true);
  own_.add(served);
  call.cancellation = &served.cancellation;
  try {
    const Result<Bytes> dropped = co_await handler_.on_call(std::move(call));
    static_cast<void>(dropped);
  } catch (...) {
    // Dropped like every answer; and what served stands in ends below.
  }
  own_.remove(served);
}

bool CoreMessenger::has_room_for(const Connection& connection, const IncomingCall& call) const noexcept {
  const std::size_t bytes = call.arguments.size();
  if (is_control(call.object)) {
    return connection.incoming_calls < kMaxIncomingCalls &&
           connection.incoming_bytes + bytes <= kMaxIncomingBytes + Connection::kMaxControlBytes;
  }
  return connection.incoming_calls < kMaxIncomingCalls - Connection::kControlCalls &&
         connection.incoming_bytes + bytes <= kMaxIncomingBytes &&
         held_bytes_ + bytes + (working_ + 1) * kCallCost <= kMaxHeldBytes;
}

void CoreMessenger::on_call(Connection& connection, std::uint32_t call_id, IncomingCall call) {
  if (closing_ || !has_room_for(connection, call)) {
    if (call.one_way) return drop_one_way(connection);
    const Error refusal = closing_ ? never_sent(named(options_.self) + " is closing")
                                   : Error::refusal(Errc::overloaded, named(options_.self) + " works on as many calls as it may; "
                                                                                             "try again later");
    connection.answer_error(call_id, refusal, is_control(call.object));
    return;
  }
  carry_out(connection.shared_from_this(), call_id, std::move(call));
}

void CoreMessenger::hold(Connection& connection, std::ptrdiff_t bytes) noexcept {
  connection.incoming_bytes += static_cast<std::size_t>(bytes);
  held_bytes_ += static_cast<std::size_t>(bytes);
}

/// Nobody hears of it but this node's operator, once a tick.
void CoreMessenger::drop_one_way(const Connection& connection) {
  if (++dropped_one_way_ > 1) return;
  platform::write_log("messenger: overloaded: a one-way call of " + named(connection.peer()) + " was dropped");
}

/// There is no memory even to answer with an error: the end of the connection tells the caller, who would wait in vain.
void CoreMessenger::cut_off(Connection& connection) {
  if (connection.ended()) return;
  const Error reason(Errc::node_gone, "no memory");
  connection.end(reason, false);
  on_ended(connection, reason);
}

/// Begins at once, so that a cancellation finds the call, and goes on as an event of its own.
detail::Detached CoreMessenger::carry_out(Shared connection, std::uint32_t call_id, IncomingCall call) {
  ++working_;
  connection->count_incoming(true);
  const auto bytes = static_cast<std::ptrdiff_t>(call.arguments.size());
  hold(*connection, bytes);
  const bool control = is_control(call.object);
  const bool one_way = call.one_way;
  ServedCall served(call_id, one_way);
  connection->served.add(served);
  call.cancellation = &served.cancellation;
  ItsTurn turn(call.object, control);
  Result<Bytes> answer = Bytes();
  bool began = false;
  // Nobody awaits this: an exception that left it would end the process.
  try {
    const bool has_turn = co_await turn;
    if (has_turn && !control && !one_way) {
      // How large its answer is shows when it has run: the next call begins when it is known what this one's has come to.
      Room::Waiter room(connection->answers, Messenger::kMaxPayloadBytes);
      const bool has_room = co_await room;
      if (has_room) connection->answers.give_back(Messenger::kMaxPayloadBytes);
    }
    // A one-way call that has arrived runs whatever has become of its connection.
    if (!has_turn) {
      answer = detail::no_turn();
    } else if (one_way || !served.cancellation.is_cancelled()) {
      began = true;
      answer = co_await handler_.on_call(std::move(call));
    } else {
      answer = Error(Errc::cancelled, "the call was cancelled before it began; nothing ran");
    }
  } catch (...) {
    answer = to_caller(began);
  }
  connection->served.remove(served);
  hold(*connection, -bytes);
  std::ptrdiff_t answer_bytes = 0;
  try {
    if (served.given_up) {
      answer = Error(Errc::cancelled, "the caller cancelled the call");  // who gave up takes no result
    } else if (answer && answer->size() > Messenger::kMaxPayloadBytes) {
      answer = Error(Errc::too_large, "the result has " + std::to_string(answer->size()) + " bytes; " +
                                          std::to_string(Messenger::kMaxPayloadBytes) + " travel at most");
    }
    if (one_way) {
      // Whatever it answers.
    } else if (!answer) {
      connection->answer_error(call_id, answer.error(), control);
    } else {
      answer_bytes = static_cast<std::ptrdiff_t>(answer->size());
      hold(*connection, answer_bytes);
      connection->answers.take(answer->size());
      Room::Waiter room = connection->room_for(answer->size(), control);
      const bool has_room = co_await room;
      if (has_room) connection->answer(call_id, *answer, control);
      connection->answers.give_back(answer->size());
    }
  } catch (...) {
    cut_off(*connection);
  }
  hold(*connection, -answer_bytes);
  connection->count_incoming(false);
  if (--working_ == 0 && closing_ && !idle_.ready()) idle_.complete();
}

}  // namespace ebb::messenger
