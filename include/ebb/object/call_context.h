// What a call carries besides its arguments: until when, on whose behalf, who may end it early.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "ebb/async/cancellation.h"
#include "ebb/async/core.h"
#include "ebb/base/ids.h"
#include "ebb/base/trace_context.h"
#include "ebb/observe/call_meter.h"
#include "ebb/platform/platform.h"

namespace ebb {

inline constexpr platform::Instant kNoDeadline = platform::Instant::max();

/// What a method hears of the call that it carries out, if its first parameter is a `const ebb::call_context&`; that is no
/// argument, and the runtime fills it in. Good until the method has ended, on its core only. Hand it on with
/// `target.under(context)`.
struct call_context {
  /// Of the caller, on this node's clock; kNoDeadline if there is none. The token fires when it has passed.
  platform::Instant deadline = kNoDeadline;
  /// Fires when nobody waits for the answer any more: the caller gave up or is lost, the deadline has passed, or the object
  /// is to end and has waited long enough.
  cancel_token cancellation;
  TraceContext trace;
  /// The node that called.
  NodeId caller = kNoNode;
};

namespace detail {

/// Of a call without a deadline, which nobody cancels.
inline constexpr call_context kNoContext{};

/// What a call is made with, beyond its own timeout.
struct CallOptions {
  platform::Instant not_after = kNoDeadline;
  cancel_token inherited;  // of the call that this one is made under
  cancel_token own;
  TraceContext trace;
  bool traced = false;  // begins a trace if it belongs to none

  void inherit(const call_context& context) {
    not_after = std::min(not_after, context.deadline);
    inherited = context.cancellation;
    trace = context.trace;
  }
  void inherit(const TraceContext& parent) { trace = parent; }
  /// Nothing out of the ordinary.
  bool plain() const noexcept {
    return not_after == kNoDeadline && !trace.present() && !traced && !can_be_cancelled() && !cancelled();
  }
  /// Begins a trace for a call that belongs to none, where that was asked for, or where `chance` says so.
  void begin_trace_if(bool chance) noexcept {
    if (!trace.present() && (traced || chance)) trace = begin_trace();
  }
  bool cancelled() const noexcept { return inherited.is_cancelled() || own.is_cancelled(); }
  bool can_be_cancelled() const noexcept { return inherited.can_be_cancelled() || own.can_be_cancelled(); }
};

/// One token for the two of a call. Lives as long as the call is waited for.
class JoinedToken {
 public:
  explicit JoinedToken(const CallOptions& options) : token_(options.own.can_be_cancelled() ? options.own : options.inherited) {
    if (!options.own.can_be_cancelled() || !options.inherited.can_be_cancelled()) return;
    token_ = source_.token();
    first_.emplace(options.own, [this] { source_.cancel(); });
    second_.emplace(options.inherited, [this] { source_.cancel(); });
  }
  JoinedToken(const JoinedToken&) = delete;
  JoinedToken& operator=(const JoinedToken&) = delete;
  const cancel_token& token() const noexcept { return token_; }

 private:
  cancel_source source_;
  cancel_token token_;
  std::optional<cancel_callback> first_;
  std::optional<cancel_callback> second_;
};

/// Brings a cancellation from the core of its token to another core. Made on the first; `token()` is the other's.
class CancelRelay {
 public:
  CancelRelay(const cancel_token& token, CoreIndex to);
  CancelRelay(const CancelRelay&) = delete;
  CancelRelay& operator=(const CancelRelay&) = delete;

  /// What it is there; kept by the receiver for as long as it uses a token of it.
  const std::shared_ptr<cancel_source>& source() const noexcept { return source_; }

 private:
  std::shared_ptr<cancel_source> source_;  // used on the other core only
  cancel_callback heard_;
};

/// Where a call that is carried out came from. `cancellation` (nullptr: nobody cancels it) belongs to the core that carries
/// it out.
struct CallOrigin {
  NodeId caller = kNoNode;
  platform::Instant deadline = kNoDeadline;
  TraceContext trace;
  cancel_source* cancellation = nullptr;
};

/// The context of a call while its method runs, and what fires its token. One core; stays where it is.
class ServedContext {
 public:
  /// `id`: the object whose end may cancel it.
  ServedContext(ObjectId id, const CallOrigin& origin);
  ~ServedContext();
  ServedContext(const ServedContext&) = delete;
  ServedContext& operator=(const ServedContext&) = delete;

  const call_context& context() const noexcept { return context_; }
  ObjectId id() const noexcept { return id_; }
  void cancel() { source_.cancel(); }

  ServedContext* previous = nullptr;  // among those of its core; NodeTable
  ServedContext* next = nullptr;

 private:
  const ObjectId id_;
  cancel_source source_;
  call_context context_;
  TimerId timer_;
  std::optional<cancel_callback> given_up_;
};

}  // namespace detail
}  // namespace ebb
