// Where a call goes: another core of this node, or a core of any node.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/signature.h"
#include "ebb/object/type.h"
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
    return run<Member, Arguments...>(id_, core_, std::move(arguments)...);
  }

 private:
  template <auto Member, class... Arguments>
  static task<Result<detail::MethodResult<Member>>> run(ObjectId id, CoreIndex core, Arguments... arguments) {
    std::exception_ptr thrown;
    try {
      if (core == kAnyCore) core = Core::current().index();
      if (to_number(core) >= Core::count()) {
        co_return Error(Errc::not_found, "this node has " + std::to_string(Core::count()) + " cores, and no core " +
                                             std::to_string(to_number(core)));
      }
      auto work = [id, packed = std::tuple<Arguments...>(std::move(arguments)...)]() mutable {
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease();
        T& object = detail::representative<T>(id);
        auto invoke = [&object](Arguments&... each) { return std::invoke(Member, object, std::move(each)...); };
        if constexpr (detail::IsTask<typename detail::SignatureOf<Member>::return_type>::value) {
          return detail::counted(id, std::apply(invoke, packed));
        } else {
          return std::apply(invoke, packed);
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
};

/// The representatives of an object on one node: one core's, or that of whichever core the call reaches first.
template <class T>
class node_target {
 public:
  node_target(ObjectId id, NodeId node, CoreIndex core, platform::Duration timeout) noexcept
      : id_(id), node_(node), core_(core), timeout_(timeout) {}

  /// The same, for callers that wait no longer than `timeout` (instead of kDefaultTimeout; at most
  /// Messenger::kMaxTimeout).
  node_target within(platform::Duration timeout) const noexcept { return {id_, node_, core_, timeout}; }

  /// Runs a method of the object's interface there and brings its result back. What cannot travel does not compile.
  /// Where the node is this one, it is target::call, with no deadline. Errors: those of target::call (the exception is
  /// the far one's), and of Messenger::call: node_gone, deadline_exceeded, too_large, overloaded. no_such_method when
  /// that node runs a program with another interface.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::kTravels, "a parameter or the result of this method cannot travel between nodes: only values "
                                   "with a wire::Codec can (numbers of fixed width, strings, containers, plain structs)");
    return run<Member>(*this, T::interface::template method_id<Member>(),
                       typename Shape::stored(std::forward<Arguments>(arguments)...));
  }

 private:
  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(node_target self, std::uint64_t method, Stored arguments) {
    using R = detail::MethodResult<Member>;
    if (self.node_ == this_node()) {
      const target<T> here(self.id_, self.core_);
      co_return co_await std::apply(
          [&here](auto&... each) { return here.template call<Member>(std::move(each)...); }, arguments);
    }
    Bytes encoded;
    if constexpr (std::tuple_size_v<Stored> != 0) encoded = wire::encode(arguments);
    auto answer = co_await detail::call_elsewhere(self.node_, self.core_, self.id_, method, self.timeout_,
                                                  std::move(encoded));
    if (!answer) co_return std::move(answer).error();
    if constexpr (std::is_void_v<R>) {
      if (answer->empty()) co_return Result<void>();
    } else {
      if (auto value = wire::decode<R>(*answer)) co_return *std::move(value);
    }
    co_return Error(Errc::malformed, "the answer of node " + std::to_string(to_number(self.node_)) +
                                         " does not decode; start all nodes from the same build");
  }

  ObjectId id_;
  NodeId node_;
  CoreIndex core_;
  platform::Duration timeout_;
};

}  // namespace ebb
