// Where a call goes: another core of this node, or a core of any node.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/signature.h"
#include "ebb/object/type.h"
#include "ebb/observe/call_meter.h"
#include "ebb/platform/translation_table.h"
#include "ebb/wire/codec.h"

namespace ebb {

namespace detail {

/// What a call of `Member` gives: the value of its task or Result, if it returns one.
template <auto Member>
using MethodResult = typename SignatureOf<Member>::result;

/// The way of every call that finds no representative; out of line, so that a hit stays three instructions.
template <class T>
[[gnu::noinline, gnu::cold]] T& miss(ObjectId id) {
  static_cast<void>(&Registered<T>::entry);
  return *static_cast<T*>(NodeTable::instance().miss(id, kTypeDescriptor<T>));
}

/// A kind whose representatives are no T.
template <class T>
inline constexpr bool kSpreadByKey = requires { &policy_of<T>::template partition_of<T, int>; };

/// A kind whose references give constant access.
template <class T>
inline constexpr bool kReadOnlyHere = std::is_same_v<typename policy_of<T>::template pointer<T>, const T*>;

/// This core's representative: one load when it is there, else NodeTable::miss makes it (and throws what that throws).
template <class T>
[[gnu::always_inline]] inline T& representative(ObjectId id) {
  void* found = platform::translate(id);
  if (found == nullptr) [[unlikely]] return miss<T>(id);
  return *static_cast<T*>(found);
}

}  // namespace detail

/// The representative of an object on one core of this node; kAnyCore: the calling one.
template <class T>
class target {
 public:
  target(ObjectId id, CoreIndex core) noexcept : id_(id), core_(core) {}

  /// Runs a method of the object's interface there and brings its result back; arguments are copied. At the calling
  /// core itself it is a plain call. Errors: not_found (no such core), what the miss throws (see NodeTable::miss),
  /// application_error with type and text if the method throws. Awaiting suspends the caller, not its core.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments... arguments) const {
    static_cast<void>(T::interface::template method_id<Member>());
    static_assert(!detail::kSpreadByKey<T>, "objects of this kind are many instances: say which, "
                                            "`object.on_key(key).call<&T::method>(...)`");
    static_assert(detail::SignatureOf<Member>::kConst || !detail::kReadOnlyHere<T>,
                  "representatives of this kind are only read where they are: change the object with "
                  "`object.call<&T::method>(...)`");
    const bool chance = core_ != kAnyCore && detail::sampled_by_chance(id_) && core_ != Core::current().index();
    if (options_.plain() && !chance) {
      return run<Member, Arguments...>(id_, core_, detail::LocalOrigin(), std::move(arguments)...);
    }
    detail::CallOptions options = options_;
    options.begin_trace_if(chance);
    return run_limited<Member, Arguments...>(id_, core_, std::move(options), std::move(arguments)...);
  }

  /// The same without an answer: the value says that the call has been started, and what comes of it nobody hears. Errors:
  /// overloaded, when too many of this core are under way.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments... arguments) const {
    return start<Member, Arguments...>(*this, std::move(arguments)...);
  }

  /// The same as part of another call: its deadline, its cancellation and its trace hold for this one too.
  target under(const call_context& context) const { return with([&context](auto& options) { options.inherit(context); }); }
  /// The same as part of a trace: a child of the span that `parent` names, such as an ebb::span.
  target under(const TraceContext& parent) const { return with([&parent](auto& options) { options.inherit(parent); }); }
  /// The same; a call that belongs to no trace begins one, which is recorded.
  target traced() const { return with([](auto& options) { options.traced = true; }); }
  /// The same, for callers that wait no longer than `timeout` from now. The method may go on.
  target within(platform::Duration timeout) const {
    const platform::Instant limit = platform::Clock::now() + timeout;
    return with([limit](auto& options) { options.not_after = std::min(options.not_after, limit); });
  }
  /// The same, ended early (cancelled) when `token` fires; the method may go on, and sees it in its call_context.
  target cancelled_by(cancel_token token) const {
    return with([&token](auto& options) { options.own = std::move(token); });
  }
  /// For other targets.
  target with_options(detail::CallOptions options) const {
    return with([&options](auto& mine) { mine = std::move(options); });
  }

 private:
  /// Calls of these kinds are counted also where the core is the caller's own.
  static constexpr bool kHasOneInstance = detail::is_exclusive<policy_of<T>>() && !detail::is_cache<policy_of<T>>();

  template <class Change>
  target with(Change change) const {
    target result = *this;
    change(result.options_);
    return result;
  }

  template <auto Member, class... Arguments>
  static task<Result<void>> start(target self, Arguments... arguments) {
    if (Result<void> room = detail::begin_own_send(); !room) co_return room;
    detail::run_own_send(self.template call<Member, Arguments...>(std::move(arguments)...));
    co_return Result<void>();
  }

  template <auto Member, class... Arguments>
  static task<Result<detail::MethodResult<Member>>> run_limited(ObjectId id, CoreIndex core, detail::CallOptions options,
                                                                Arguments... arguments) {
    if (Result<void> wanted = detail::still_wanted(options); !wanted) co_return std::move(wanted).error();
    detail::OpenSpan span(options.trace);
    const detail::JoinedToken joined(options);
    detail::LocalOrigin origin{options.not_after, span.trace(), nullptr};
    std::optional<detail::CancelRelay> relay;
    if (detail::SignatureOf<Member>::kTakesContext && joined.token().can_be_cancelled()) {
      relay.emplace(joined.token(), core == kAnyCore ? Core::current().index() : core);
      origin.cancellation = relay->source();
    }
    task<Result<detail::MethodResult<Member>>> work =
        run<Member, Arguments...>(id, core, std::move(origin), std::move(arguments)...);
    Result<detail::MethodResult<Member>> outcome =
        co_await detail::until(std::move(work), options.not_after, joined.token());
    span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, id, this_node(), outcome.code());
    co_return outcome;
  }

  template <auto Member, class... Arguments>
  static task<Result<detail::MethodResult<Member>>> run(ObjectId id, CoreIndex core, detail::LocalOrigin origin,
                                                        Arguments... arguments) {
    std::exception_ptr thrown;
    try {
      const CoreIndex here = Core::current().index();
      if (core == kAnyCore) core = here;
      if (to_number(core) >= Core::count()) {
        co_return Error(Errc::not_found, "this node has " + std::to_string(Core::count()) + " cores, and no core " +
                                             std::to_string(to_number(core)));
      }
      const bool counted = core != here || kHasOneInstance;
      auto work = [id, counted, origin = std::move(origin),
                   packed = std::tuple<Arguments...>(std::move(arguments)...)]() mutable {
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease();
        detail::CallMeter meter(counted, origin.trace);
        origin.trace = meter.trace();
        const detail::MeteredCall call(detail::kMethodLabel<T, Member>, id, origin.trace);
        T& object = detail::representative<T>(id);
        using Return = typename detail::SignatureOf<Member>::return_type;
        if constexpr (detail::IsTask<Return>::value) {
          if constexpr (detail::SignatureOf<Member>::kTakesContext) {
            using Value = typename Return::value_type;
            return detail::measured(call, meter, detail::run_in_context<Member, Value>(id, &object, origin, &packed));
          } else {
            auto invoke = [&object](Arguments&... each) { return std::invoke(Member, object, std::move(each)...); };
            return detail::measured(call, meter, std::apply(invoke, packed));
          }
        } else if constexpr (detail::SignatureOf<Member>::kTakesContext) {
          const detail::ServedContext served(id, origin.origin());
          auto invoke = [&object, &served](Arguments&... each) -> Return {
            return detail::invoke_method<Member>(served.context(), object, std::move(each)...);
          };
          return detail::measured(call, meter, [&]() -> Return { return std::apply(invoke, packed); });
        } else {
          auto invoke = [&object](Arguments&... each) -> Return { return std::invoke(Member, object, std::move(each)...); };
          return detail::measured(call, meter, [&]() -> Return { return std::apply(invoke, packed); });
        }
      };
      if constexpr (std::is_void_v<detail::OnCoreResult<decltype(work)>>) {
        co_await on_core(core, std::move(work));
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease_still();
        co_return Result<void>();
      } else {
        auto result = co_await on_core(core, std::move(work));
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease_still();
        co_return std::move(result);
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    co_return detail::to_error(std::move(thrown));
  }

  ObjectId id_;
  CoreIndex core_;
  detail::CallOptions options_;
};

/// The representatives of an object on one node: one core's, or that of whichever core the call reaches first.
template <class T>
class node_target {
 public:
  node_target(ObjectId id, NodeId node, CoreIndex core, platform::Duration timeout) noexcept
      : id_(id), node_(node), core_(core), timeout_(timeout) {}

  /// The same, for callers that wait no longer than `timeout` (instead of kDefaultTimeout; at most
  /// Messenger::kMaxTimeout).
  node_target within(platform::Duration timeout) const {
    node_target result = *this;
    result.timeout_ = timeout;
    result.limited_ = true;
    return result;
  }
  /// The same as part of another call: its deadline, its cancellation and its trace hold for this one too.
  node_target under(const call_context& context) const {
    node_target result = *this;
    result.options_.inherit(context);
    return result;
  }
  /// The same as part of a trace: a child of the span that `parent` names, such as an ebb::span.
  node_target under(const TraceContext& parent) const {
    node_target result = *this;
    result.options_.inherit(parent);
    return result;
  }
  /// The same; a call that belongs to no trace begins one, which is recorded.
  node_target traced() const {
    node_target result = *this;
    result.options_.traced = true;
    return result;
  }
  /// The same, ended early (cancelled) when `token` fires. The far method sees it in its call_context; it may have run.
  node_target cancelled_by(cancel_token token) const {
    node_target result = *this;
    result.options_.own = std::move(token);
    return result;
  }
  /// For other targets.
  node_target with_options(detail::CallOptions options) const {
    node_target result = *this;
    result.options_ = std::move(options);
    return result;
  }

  /// Runs a method of the object's interface there and brings its result back. What cannot travel does not compile.
  /// Where the node is this one, it is target::call, with no deadline but one that was asked for. Runs at most once: it is sent
  /// again only where the answer was `overloaded`, since then nothing ran, after a pause that grows to 64 ms, until the
  /// deadline. Errors: those of target::call (the exception is the far one's), and of Messenger::call: node_gone,
  /// deadline_exceeded, cancelled, too_large, overloaded (until the deadline). no_such_method when that node runs a program
  /// with another interface.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    return run<Member>(*this, T::interface::template method_id<Member>(),
                       typename Shape::stored(std::forward<Arguments>(arguments)...));
  }

  /// Begins a pipeline (pipeline.h) with this call: `pipeline<&A::make>(...).then<&B::use>(...).call()` makes an object and
  /// uses it with one message to the node and one back.
  template <auto Member, class... Arguments>
  auto pipeline(Arguments&&... arguments) const;

  /// The same without an answer: the value says that the call has been queued, which waits for room. It runs at most once, and
  /// where the node is lost or has no room for it, not at all. Errors: those of Messenger::send.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    return start<Member>(*this, T::interface::template method_id<Member>(),
                         typename Shape::stored(std::forward<Arguments>(arguments)...));
  }

 private:
  /// Of a call that is made now.
  platform::Instant deadline() const noexcept {
    return std::min(options_.not_after, platform::Clock::now() + timeout_);
  }
  target<T> here() const {
    target<T> result = target<T>(id_, core_).with_options(options_);
    return limited_ ? result.within(timeout_) : result;
  }
  /// Of a call to another node that is made now; it carries the span on.
  detail::OpenSpan begin_span() {
    options_.begin_trace_if(detail::sampled_by_chance(id_));
    const detail::OpenSpan span(options_.trace);
    options_.trace = span.trace();
    return span;
  }
  detail::RemoteCall remote(std::uint64_t method, platform::Duration timeout, const cancel_token& token) const {
    return {node_, core_, id_, method, timeout, token, options_.trace};
  }
  template <class Stored>
  static Bytes encoded(const Stored& arguments) {
    if constexpr (std::tuple_size_v<Stored> != 0) return wire::encode(arguments);
    return {};
  }

  template <auto Member, class Stored>
  static task<Result<void>> start(node_target self, std::uint64_t method, Stored arguments) {
    if (self.node_ == this_node()) {
      const target<T> here = self.here();
      co_return co_await std::apply([&here](auto&... each) { return here.template send<Member>(std::move(each)...); },
                                    arguments);
    }
    if (Result<void> wanted = detail::still_wanted(self.options_); !wanted) co_return wanted;
    const detail::JoinedToken joined(self.options_);
    detail::OpenSpan span = self.begin_span();
    detail::RemoteCall call = self.remote(method, self.deadline() - platform::Clock::now(), joined.token());
    Result<void> sent = co_await detail::send_elsewhere(std::move(call), encoded(arguments));
    span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, self.id_, self.node_, sent.code());
    co_return sent;
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(node_target self, std::uint64_t method, Stored arguments) {
    using R = detail::MethodResult<Member>;
    if (self.node_ == this_node()) {
      const target<T> here = self.here();
      co_return co_await std::apply(
          [&here](auto&... each) { return here.template call<Member>(std::move(each)...); }, arguments);
    }
    if (Result<void> wanted = detail::still_wanted(self.options_); !wanted) co_return std::move(wanted).error();
    const detail::JoinedToken joined(self.options_);
    const platform::Instant deadline = self.deadline();
    detail::OpenSpan span = self.begin_span();
    for (int attempt = 0;; ++attempt) {
      detail::RemoteCall call = self.remote(method, deadline - platform::Clock::now(), joined.token());
      auto answer = co_await detail::call_elsewhere(std::move(call), encoded(arguments));
      if (answer.code() == Errc::overloaded) {
        const bool again = co_await detail::pause_before_retry(attempt, deadline);
        if (again && !joined.token().is_cancelled()) continue;
      }
      span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, self.id_, self.node_, answer.code());
      if (!answer) co_return detail::with_method(std::move(answer).error(), self.node_, detail::kMethodLabel<T, Member>);
      if constexpr (std::is_void_v<R>) {
        if (answer->empty()) co_return Result<void>();
      } else {
        if (auto value = wire::decode<R>(*answer)) co_return *std::move(value);
      }
      co_return Error(Errc::malformed, "the answer of node " + std::to_string(to_number(self.node_)) +
                                           " does not decode; start all nodes from the same build");
    }
  }

  ObjectId id_;
  NodeId node_;
  CoreIndex core_;
  platform::Duration timeout_;
  bool limited_ = false;  // by within(): then also where the node is this one
  detail::CallOptions options_;
};

}  // namespace ebb
