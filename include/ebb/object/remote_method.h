// The receiving end of a typed call: bytes in, the method of a representative, bytes out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/object/call_context.h"
#include "ebb/object/signature.h"

namespace ebb::detail {

/// What an exception becomes for a caller who may be elsewhere.
Error to_error(std::exception_ptr exception);
/// What arguments become that a reader did not get through.
Error not_decoded(const wire::Reader& arguments);

/// Whose call it is that a kind carries out in its own way (TypeDescriptor::serve).
struct ServedCaller {
  NodeId node = kNoNode;
  TraceContext trace;
  /// If the method takes one; stays until it has ended.
  const call_context* context = nullptr;
};

/// One method that other nodes may call, with its type erased.
struct RemoteMethod {
  std::uint64_t id;
  std::string_view name;
  task<Result<Bytes>> (*run)(void* representative, Bytes arguments, const call_context* context);
  bool reads;          ///< a const method
  bool takes_context;  ///< its first parameter is a call_context

  /// Runs it on `representative`, which must stay until the task ends, and so must `context` (nullptr: that of a call without
  /// a deadline, which nobody cancels). Errors: malformed (the arguments do not decode), too_large (nor would they fit into the
  /// memory that so many bytes may take, see wire::Reader), application_error (it threw), what the method itself answers.
  task<Result<Bytes>> invoke(void* representative, Bytes arguments, const call_context* context = nullptr) const {
    return run(representative, std::move(arguments), context);
  }
};

/// A result, as bytes; a method that answers a Result gives its error instead. It has run, so that is no refusal.
template <class Value>
Result<Bytes> encode_result(Value&& value) {
  return wire::encode(value);
}
template <class T>
Result<Bytes> encode_result(Result<T>&& result) {
  if (!result) return std::move(result).error().as_answer();
  if constexpr (std::is_void_v<T>) {
    return Bytes();
  } else {
    return wire::encode(*result);
  }
}

template <class T, auto Member>
task<Result<Bytes>> invoke_encoded(void* representative, Bytes encoded, const call_context* context) {
  using Shape = SignatureOf<Member>;
  using Return = typename Shape::return_type;
  std::exception_ptr thrown;
  try {
    std::optional<typename Shape::stored> arguments;
    if constexpr (std::tuple_size_v<typename Shape::stored> != 0) {
      wire::Reader reader(encoded);
      arguments.emplace(wire::Codec<typename Shape::stored>::read(reader));
      if (!reader.finished()) co_return not_decoded(reader);
    } else {
      if (!encoded.empty()) {
        co_return Error(Errc::malformed, "a call has arguments where its method takes none; the caller's program is broken");
      }
      arguments.emplace();
    }
    if constexpr (!Shape::kViews) encoded = Bytes();
    auto call = [representative, context](auto&... each) -> Return {
      return invoke_method<Member>(context != nullptr ? *context : kNoContext, *static_cast<T*>(representative),
                                   std::move(each)...);
    };
    if constexpr (IsTask<Return>::value) {
      if constexpr (std::is_same_v<Return, task<void>>) {
        co_await std::apply(call, *arguments);
        co_return Bytes();
      } else {
        co_return encode_result(co_await std::apply(call, *arguments));
      }
    } else if constexpr (std::is_void_v<Return>) {
      std::apply(call, *arguments);
      co_return Bytes();
    } else {
      co_return encode_result(std::apply(call, *arguments));
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return to_error(std::move(thrown)).as_answer();
}

/// The entries of an interface's methods that travel, for objects of type T.
template <class T, class Interface, class... Methods>
constexpr auto remote_methods() noexcept {
  constexpr std::size_t kCount = (std::size_t{0} + ... + (SignatureOf<Methods::member>::kTravels ? 1 : 0));
  std::array<RemoteMethod, kCount> table{};
  [[maybe_unused]] std::size_t next = 0;
  [[maybe_unused]] auto add = [&]<class Method>() {
    if constexpr (SignatureOf<Method::member>::kTravels) {
      table[next++] = {Interface::template method_id<Method::member>(), Method::name, &invoke_encoded<T, Method::member>,
                       SignatureOf<Method::member>::kConst, SignatureOf<Method::member>::kTakesContext};
    }
  };
  (add.template operator()<Methods>(), ...);
  return table;
}

}  // namespace ebb::detail
