// Where a call goes: the cores of any node.
#pragma once

#include <tuple>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "ebb/object/signature.h"
#include "ebb/object/target.h"
#include "ebb/observe/call_meter.h"

namespace ebb {

/// The representatives of an object on one node: one core's, or that of whichever core the call reaches first.
template <class T>
class node_target : public adjustable_target<node_target<T>> {
 public:
  node_target(ObjectId id, NodeId node, CoreIndex core) noexcept : id_(id), node_(node), core_(core) {}

  /// Runs a method of the object's interface there and brings its result back. What cannot travel does not compile.
  /// Where the node is this one, it is target::call, with no deadline but one that was asked for. Runs at most once: it is sent
  /// again only where the node turned it away (overloaded), since then nothing ran, after a pause that grows to 64 ms, until
  /// the deadline. Errors: those of target::call (the exception is the far one's), and of Messenger::call: node_gone,
  /// deadline_exceeded, cancelled, too_large, overloaded (until the deadline). no_such_method when that node runs a program
  /// with another interface.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    return run<Member>(*this, Shape::store(std::forward<Arguments>(arguments)...));
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
    return start<Member>(*this, Shape::store(std::forward<Arguments>(arguments)...));
  }

 private:
  using adjustable_target<node_target<T>>::options_;

  target<T> here() const { return target<T>(id_, core_).with_options(options_); }

  template <auto Member, class Stored>
  static task<Result<void>> start(node_target self, Stored arguments) {
    if (self.node_ == this_node()) {
      const target<T> here = self.here();
      co_return co_await std::apply([&here](auto&... each) { return here.template send<Member>(std::move(each)...); },
                                    arguments);
    }
    if (Result<void> wanted = detail::still_wanted(self.options_); !wanted) co_return wanted;
    Result<Bytes> bytes = detail::encoded(arguments);
    if (!bytes) co_return std::move(bytes).error();
    const detail::JoinedToken joined(self.options_);
    self.options_.begin_trace_if(detail::sampled_by_chance(self.id_));
    detail::OpenSpan span(self.options_.trace);
    const platform::Instant now = platform::Clock::now();
    const platform::Instant deadline = self.options_.deadline(now);
    detail::RemoteCall call{self.node_, self.core_, self.id_, detail::kMethodLabel<T, Member>.id, deadline - now, joined.token(),
                            span.trace()};
    Result<void> sent = co_await detail::send_elsewhere(std::move(call), *std::move(bytes));
    if (sent.code() == Errc::cancelled) sent = detail::for_its_deadline(std::move(sent).error(), deadline);
    span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, self.id_, self.node_, sent.code());
    co_return sent;
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(node_target self, Stored arguments) {
    using R = detail::MethodResult<Member>;
    if (self.node_ == this_node()) {
      const target<T> here = self.here();
      co_return co_await std::apply(
          [&here](auto&... each) { return here.template call<Member>(std::move(each)...); }, arguments);
    }
    Result<Bytes> bytes = detail::encoded(arguments);
    if (!bytes) co_return std::move(bytes).error();
    detail::EncodedCall call{self.id_, detail::kMethodLabel<T, Member>, std::move(self.options_), *std::move(bytes)};
    Result<Bytes> answer = co_await detail::call_node(self.node_, self.core_, std::move(call));
    co_return detail::decoded<R>(std::move(answer), detail::kMethodLabel<T, Member>);
  }

  ObjectId id_;
  NodeId node_;
  CoreIndex core_;
};

}  // namespace ebb
