// Where a call goes: the cores of any node.
#pragma once

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "ebb/object/signature.h"
#include "ebb/object/target.h"
#include "ebb/observe/call_meter.h"
#include "ebb/wire/codec.h"

namespace ebb {

/// The representatives of an object on one node: one core's, or that of whichever core the call reaches first.
template <class T>
class node_target : public adjustable_target<node_target<T>> {
 public:
  node_target(ObjectId id, NodeId node, CoreIndex core) noexcept : id_(id), node_(node), core_(core) {}

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
  using adjustable_target<node_target<T>>::options_;

  target<T> here() const { return target<T>(id_, core_).with_options(options_); }
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
    const platform::Instant now = platform::Clock::now();
    detail::RemoteCall call = self.remote(method, self.options_.deadline(now) - now, joined.token());
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
    const platform::Instant deadline = self.options_.deadline(platform::Clock::now());
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
};

}  // namespace ebb
