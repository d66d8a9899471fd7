// Calls within a node, measured on the core that carries them out.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/remote_method.h"
#include "ebb/observe/call_meter.h"

namespace ebb::detail {

/// A method as it is named where it is measured.
template <class T, auto Member>
inline constexpr MethodLabel kMethodLabel{T::interface::template method_id<Member>(), T::interface::name,
                                          T::interface::template method_name<Member>()};

/// How a method that gave this went. What it passes on of another call becomes its own answer: it has run.
template <class R>
Errc settle(const R&) noexcept {
  return Errc::ok;
}
template <class R>
Errc settle(Result<R>& result) {
  if (!result && result.error().is_refusal()) result = Error(std::move(result).error()).as_answer();
  return result.code();
}

/// The call that a meter measures. Its caller is of interest to spans only.
struct MeteredCall {
  const MethodLabel& label;
  ObjectId object;
  NodeId caller = kNoNode;

  MeteredCall(const MethodLabel& method, ObjectId id, const TraceContext& trace) : label(method), object(id) {
    if (trace.sampled) caller = this_node();
  }
};

/// In a catch clause of what a method has thrown: ends the measurement, and throws it on, which is no refusal.
[[noreturn]] void settle_thrown(const MeteredCall& call, CallMeter& meter);

/// `invoke()`, a method that gives no task, to its end; counted among the calls under way, since it may block (CallOnStack).
template <class F>
std::invoke_result_t<F&> measured(const MeteredCall& call, CallMeter& meter, F invoke) {
  const CallOnStack under_way(call.object);
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
      invoke();
      meter.end(call.label, call.object, call.caller, Errc::ok);
    } else {
      std::invoke_result_t<F&> result = invoke();
      meter.end(call.label, call.object, call.caller, settle(result));
      return result;
    }
  } catch (...) {
    settle_thrown(call, meter);
  }
}

/// `invoke()`, a method that gives a task without being a coroutine: what it does before that is part of the call, and may block.
template <class F>
std::invoke_result_t<F&> begun(const MeteredCall& call, CallMeter& meter, F invoke) {
  const CallOnStack under_way(call.object);
  try {
    return invoke();
  } catch (...) {
    settle_thrown(call, meter);
  }
}

/// `work`, a method that waits; counted among the calls under way (CallUnderWay).
template <class R>
task<R> measured(MeteredCall call, CallMeter meter, task<R> work) {
  const CallUnderWay under_way(call.object);
  try {
    if constexpr (std::is_void_v<R>) {
      co_await std::move(work);
      meter.end(call.label, call.object, call.caller, Errc::ok);
      co_return;
    } else {
      R result = co_await std::move(work);
      meter.end(call.label, call.object, call.caller, settle(result));
      co_return std::move(result);
    }
  } catch (...) {
    settle_thrown(call, meter);
  }
}

}  // namespace ebb::detail
