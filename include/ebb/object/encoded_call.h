// Calls whose arguments are bytes: all attempts of one, wherever its object is. Targets add the types.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/remote_method.h"
#include "ebb/observe/call_meter.h"
#include "ebb/wire/codec.h"

namespace ebb::detail {

struct TypeDescriptor;

struct EncodedCall {
  ObjectId object;
  MethodLabel method;
  CallOptions options;
  Bytes arguments;
};

/// Makes a call, and makes it again as long as the runtime turns it away (Error::is_refusal), since then nothing ran: where it was
/// `overloaded`, at the same place; where it had `moved`, or nobody was there, at the place that is looked up anew. Between
/// attempts it pauses (pause_before_retry). Each attempt is a client span. It ends with any other answer; with `cancelled` if
/// its caller gave up meanwhile; at its deadline with the last `overloaded`, or else deadline_exceeded. A deadline that is no
/// limit by default (CallOptions::own_deadline) is told to methods on this node only if it was asked for.
///
/// On a node's core, or (kAnyCore) whichever the call reaches: there is no other place, so `moved` is its end too.
task<Result<Bytes>> call_node(NodeId node, CoreIndex core, EncodedCall call);
/// On the home of the object, wherever that is; node_gone if that is lost and not made anew.
task<Result<Bytes>> call_home(const TypeDescriptor* type, EncodedCall call);
/// On the owner of a partition; the arguments end with its number.
task<Result<Bytes>> call_partition(const TypeDescriptor* type, std::uint32_t partition, EncodedCall call);

/// Whether a call that was answered so may be made again, and that may help.
template <class R>
bool was_turned_away(const Result<R>& answer) noexcept {
  return !answer && answer.error().is_refusal() && (answer.code() == Errc::overloaded || answer.code() == Errc::moved);
}

/// The bytes of `arguments`, and behind them `number`, if there is one. An exception that a codec throws (of a stream of
/// which items were taken, of a variant without a value) is the call's error: nothing is sent.
template <class... Stored>
Result<Bytes> encoded(const std::tuple<Stored...>& arguments, std::optional<std::uint32_t> number = {}) {
  try {
    wire::Writer writer;
    if constexpr (sizeof...(Stored) != 0) wire::Codec<std::tuple<Stored...>>::write(writer, arguments);
    if (number) writer.number(*number);
    return std::move(writer).take();
  } catch (...) {
    return to_error(std::current_exception()).as_answer();
  }
}

Error undecodable_answer(const MethodLabel& method);

/// What an answer means to its caller.
template <class R>
Result<R> decoded(Result<Bytes> answer, const MethodLabel& method) {
  if (!answer) return std::move(answer).error();
  if constexpr (std::is_void_v<R>) {
    if (answer->empty()) return {};
  } else {
    if (auto value = wire::decode<R>(*answer)) return *std::move(value);
  }
  return undecodable_answer(method);
}

}  // namespace ebb::detail
