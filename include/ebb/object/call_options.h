// What a call is made with beyond its arguments, and how one says so: the same for every target.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "ebb/async/cancellation.h"
#include "ebb/base/trace_context.h"
#include "ebb/object/call_context.h"
#include "ebb/observe/call_meter.h"
#include "ebb/platform/platform.h"

namespace ebb {

/// How long a call that leaves its node waits for its answer unless its caller says otherwise.
inline constexpr platform::Duration kDefaultTimeout = std::chrono::seconds(30);

namespace detail {

/// What a call is made with.
struct CallOptions {
  platform::Instant not_after = kNoDeadline;
  platform::Duration timeout = kDefaultTimeout;
  cancel_token inherited;  // of the call that this one is made under
  cancel_token own;
  TraceContext trace;
  bool limited = false;  // `timeout` was asked for: it holds also where a call would have none by default
  bool traced = false;   // begins a trace if it belongs to none

  void inherit(const call_context& context) {
    not_after = std::min(not_after, context.deadline);
    inherited = context.cancellation;
    trace = context.trace;
  }
  /// For a part of the call that is being served: it may take as long as the whole.
  void inherit_deadline(const call_context& context) {
    inherit(context);
    if (context.deadline == kNoDeadline) return;
    timeout = std::max<platform::Duration>(context.deadline - platform::Clock::now(), std::chrono::nanoseconds(1));
  }
  /// Nothing out of the ordinary.
  bool plain() const noexcept {
    return !may_end_early() && !trace.present() && !traced;
  }
  /// Whether the caller has one, besides the default.
  bool has_deadline() const noexcept { return limited || not_after != kNoDeadline; }
  /// Of a call that begins at `now`.
  platform::Instant deadline(platform::Instant now) const noexcept {
    return timeout < not_after - now ? now + timeout : not_after;  // so that no timeout overflows
  }
  /// Of one that has no limit by default.
  platform::Instant own_deadline(platform::Instant now) const noexcept { return limited ? deadline(now) : not_after; }
  /// The call begins: what was asked for counts from now on, however many attempts it takes.
  void begin() noexcept {
    if (limited) not_after = deadline(platform::Clock::now());
  }
  /// Whether somebody may not want to wait for the answer.
  bool may_end_early() const noexcept { return has_deadline() || can_be_cancelled() || cancelled(); }
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

}  // namespace detail

/// How a call is to be made, wherever it goes: each gives another target, for one call or many. Base of all targets. One core;
/// never blocks.
template <class Target>
class adjustable_target {
 public:
  /// For callers that wait no longer than `timeout` from when the call is made, however many attempts that takes: then the
  /// call ends with deadline_exceeded. The method may go on, and sees it in its call_context. Without it a call within the
  /// node has no limit, and one to another node kDefaultTimeout. More than Messenger::kMaxTimeout (an hour) is
  /// invalid_argument where the call leaves its node, and always for everywhere().
  Target within(platform::Duration timeout) const {
    return with([timeout](auto& options) { options.timeout = timeout, options.limited = true; });
  }
  /// As part of another call: its deadline, its cancellation and its trace hold for this one too.
  Target under(const call_context& context) const {
    return with([&context](auto& options) { options.inherit(context); });
  }
  /// As part of a trace: a child of the span that `parent` names, such as an ebb::span.
  Target under(const TraceContext& parent) const {
    return with([&parent](auto& options) { options.trace = parent; });
  }
  /// A call that belongs to no trace begins one, which is recorded.
  Target traced() const {
    return with([](auto& options) { options.traced = true; });
  }
  /// Ended early (cancelled) when `token`, of this core, fires. The method may have run, or go on, and sees it in its
  /// call_context.
  Target cancelled_by(cancel_token token) const {
    return with([&token](auto& options) { options.own = std::move(token); });
  }
  /// For other targets.
  Target with_options(detail::CallOptions options) const {
    return with([&options](auto& mine) { mine = std::move(options); });
  }

 protected:
  adjustable_target() noexcept = default;
  ~adjustable_target() = default;
  adjustable_target(const adjustable_target&) = default;
  adjustable_target& operator=(const adjustable_target&) = default;
  adjustable_target(adjustable_target&&) noexcept = default;
  adjustable_target& operator=(adjustable_target&&) noexcept = default;

  detail::CallOptions options_;

 private:
  template <class Change>
  Target with(Change change) const {
    Target result = static_cast<const Target&>(*this);
    change(static_cast<adjustable_target&>(result).options_);
    return result;
  }
};

}  // namespace ebb
