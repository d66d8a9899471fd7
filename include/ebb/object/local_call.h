// Calls within a node that have a deadline, may be cancelled, or whose method asks for the context of its call.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/object/call_options.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/remote_method.h"
#include "ebb/object/signature.h"

namespace ebb::detail {

/// What a call hands to the core that carries it out.
struct LocalOrigin {
  platform::Instant deadline = kNoDeadline;
  TraceContext trace;
  std::shared_ptr<cancel_source> cancellation;  // used on that core only
  CallOrigin origin() const { return {this_node(), deadline, trace, cancellation.get()}; }
  /// When its turn has come: throws ErrorException, of cancelled or deadline_exceeded, if nobody waits for it any more.
  void require_turn() const {
    if (deadline != kNoDeadline || cancellation != nullptr) require_wanted();
  }

 private:
  void require_wanted() const;
};

/// Runs a method that takes a context and gives a task; `arguments` stay until it has ended.
template <auto Member, class R, class T, class Stored>
task<R> run_in_context(ObjectId id, T* object, LocalOrigin origin, Stored* arguments) {
  const ServedContext served(id, origin.origin());
  auto invoke = [object, &served](auto&... each) {
    return invoke_method<Member>(served.context(), *object, std::move(each)...);
  };
  auto work = std::apply(invoke, *arguments);
  co_return co_await std::move(work);
}

/// Calls of a core that have been given up by their callers, and go on, held back by nobody else: counted, and beyond these no
/// further call of an application's object that could be given up begins (overloaded, a refusal).
inline constexpr std::uint32_t kMaxGivenUp = 4096;
Result<void> room_to_give_up();
void begin_given_up() noexcept;
void end_given_up() noexcept;

/// The first of an answer and whatever ends the wait for it.
template <class R>
struct Race {
  Completion<Result<R>> first;
  bool over = false;
  bool ended = false;     // the work, whoever waits for it
  bool given_up = false;
  void end(Result<R> outcome) {
    if (!std::exchange(over, true)) first.complete(std::move(outcome));
  }
};

template <class R>
Detached run_race(task<Result<R>> work, std::shared_ptr<Race<R>> race) {
  task<Result<R>> running = std::move(work);
  std::exception_ptr thrown;
  try {
    Result<R> answer = co_await std::move(running);
    race->end(std::move(answer));
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown) race->end(to_error(std::move(thrown)));
  race->ended = true;
  if (race->given_up) end_given_up();
}

/// What a call with this deadline ends with, if it is `cancelled` so far. Tokens fire at the deadline too (call_context), and
/// who hears of that, such as a nested call, may say `cancelled` before the caller's own timer has run: once it has passed
/// that is deadline_exceeded.
Error for_its_deadline(Error cancelled, platform::Instant deadline);

/// The answer of `work`, or an error when the deadline or a cancellation comes first: then it goes on without its caller.
template <class R>
task<Result<R>> until(task<Result<R>> work, platform::Instant deadline, cancel_token token) {
  const auto race = std::make_shared<Race<R>>();
  TimerId timer;
  if (deadline != kNoDeadline) {
    timer = Core::current().call_at(deadline, [race] {
      race->end(Error(Errc::deadline_exceeded, "the call was not answered in time; it may or may not have run"));
    });
  }
  const cancel_callback cancelled(token, [race] {
    race->end(Error(Errc::cancelled, "the caller cancelled the call; it may or may not have run"));
  });
  run_race<R>(std::move(work), race);
  Result<R> outcome = co_await race->first;
  if (!race->ended) {
    race->given_up = true;
    begin_given_up();
  }
  if (timer != TimerId{}) Core::current().cancel(timer);
  if (outcome.code() == Errc::cancelled) co_return for_its_deadline(std::move(outcome).error(), deadline);
  co_return outcome;
}

/// What has come before the call was even made.
inline Result<void> still_wanted(const CallOptions& options) {
  const bool no_time = options.limited && options.timeout <= platform::Duration::zero();
  if (no_time || (options.not_after != kNoDeadline && options.not_after <= platform::Clock::now())) {
    return Error(Errc::deadline_exceeded, "the call's deadline had passed before it was made; nothing ran");
  }
  // After that, at which tokens fire too.
  if (options.cancelled()) return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
  return {};
}

/// `work`, all attempts of a call that has `options`, until they end it. It goes on without its caller then.
template <class R>
task<Result<R>> within_options(task<Result<R>> work, CallOptions options) {
  if (Result<void> wanted = still_wanted(options); !wanted) co_return std::move(wanted).error();
  if (Result<void> room = room_to_give_up(); !room) co_return std::move(room).error();
  const platform::Instant deadline = options.own_deadline(platform::Clock::now());
  const JoinedToken joined(options);
  co_return co_await until(std::move(work), deadline, joined.token());
}

/// One-way calls within the node: counted, and `overloaded` beyond kMaxOwnSends of a core.
inline constexpr std::uint32_t kMaxOwnSends = 4096;
Result<void> begin_own_send();
void end_own_send() noexcept;

template <class R>
Detached run_own_send(task<Result<R>> work) {
  task<Result<R>> running = std::move(work);
  try {
    const Result<R> dropped = co_await std::move(running);
    static_cast<void>(dropped);
  } catch (...) {
    // Nobody hears of that either.
  }
  end_own_send();
}

/// Starts a call whose answer nobody waits for. overloaded: too many are under way, and this one is not made.
template <class R>
task<Result<void>> send_unanswered(task<Result<R>> work) {
  if (Result<void> room = begin_own_send(); !room) co_return room;
  run_own_send(std::move(work));
  co_return Result<void>();
}

}  // namespace ebb::detail
