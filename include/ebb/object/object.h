// Objects as applications use them: create one, call this core's representative through `->`, another core's through
// `.on(core)`, all of them through `reduce`.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/async/when_all.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "ebb/platform/translation_table.h"

namespace ebb {

template <object_type T>
class ref;

namespace detail {

/// The way of every call that finds no representative; out of line, so that a hit stays three instructions.
template <class T>
[[gnu::noinline, gnu::cold]] T& miss(ObjectId id) {
  return *static_cast<T*>(NodeTable::instance().miss(id, kTypeDescriptor<T>));
}

/// The result of a member function called with `Arguments`, a task's value if it is a coroutine.
template <class T, auto Member, class... Arguments>
using MethodResult = typename AwaitedOf<std::invoke_result_t<decltype(Member), T&, Arguments...>>::type;

/// What a method's exception becomes for a caller who may be elsewhere.
Error to_error(std::exception_ptr exception);

}  // namespace detail

/// The representative of an object on one core of this node.
template <object_type T>
class target {
 public:
  target(ObjectId id, CoreIndex core) noexcept : id_(id), core_(core) {}

  /// Runs a method of the object's interface there and brings its result back; arguments are copied. At the calling
  /// core itself it is a plain call. Errors: not_found (no such core), what the miss throws (see NodeTable::miss),
  /// application_error with type and text if the method throws. Awaiting suspends the caller, not its core.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<T, Member, Arguments...>>> call(Arguments... arguments) const {
    static_cast<void>(T::interface::template method_id<Member>());
    return run<Member, Arguments...>(id_, core_, std::move(arguments)...);
  }

 private:
  template <auto Member, class... Arguments>
  static task<Result<detail::MethodResult<T, Member, Arguments...>>> run(ObjectId id, CoreIndex core,
                                                                         Arguments... arguments) {
    using R = detail::MethodResult<T, Member, Arguments...>;
    std::exception_ptr thrown;
    try {
      if (to_number(core) >= Core::count()) {
        co_return Error(Errc::not_found, "this node has " + std::to_string(Core::count()) + " cores, and no core " +
                                             std::to_string(to_number(core)));
      }
      auto work = [id, packed = std::tuple<Arguments...>(std::move(arguments)...)]() mutable {
        ref<T> object = ref<T>::unchecked(id);
        return std::apply([&object](Arguments&... each) { return std::invoke(Member, *object, std::move(each)...); },
                          packed);
      };
      if constexpr (std::is_void_v<R>) {
        co_await on_core(core, std::move(work));
        co_return Result<void>();
      } else {
        co_return co_await on_core(core, std::move(work));
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    co_return detail::to_error(std::move(thrown));
  }

  ObjectId id_;
  CoreIndex core_;
};

/// A reference to an object: its id, no more. Copy it freely, hand it to any core. Callable only on a core.
template <object_type T>
class ref {
 public:
  /// Names no object; using it throws ErrorException(no_such_object).
  constexpr ref() noexcept = default;

  /// A reference to an id whose object is known to be a T: the type is checked on a core's first access only.
  static constexpr ref unchecked(ObjectId id) noexcept { return ref(id); }

  constexpr ObjectId id() const noexcept { return id_; }

  /// This core's representative: one load when it is there, else NodeTable::miss makes it (and throws what that
  /// throws). The pointer is good on this core until the object is destroyed.
  [[gnu::always_inline]] T* operator->() const { return &**this; }
  [[gnu::always_inline]] T& operator*() const {
    void* representative = platform::translate(id_);
    if (representative == nullptr) [[unlikely]] return detail::miss<T>(id_);
    return *static_cast<T*>(representative);
  }

  /// The representative of another core of this node.
  target<T> on(CoreIndex core) const noexcept { return target<T>(id_, core); }

  /// Calls `Member` on every representative this node has at this moment, all cores at once, and folds the results
  /// into `initial` on the calling core, in the order of the cores: `combine(accumulated, result)`. Representatives
  /// are not made for it. The first error ends it and is returned once all cores have answered.
  template <auto Member, class Value, class Combine>
  task<Result<Value>> reduce(Value initial, Combine combine) const {
    return fold<Member, Value, Combine>(*this, std::move(initial), std::move(combine));
  }

  friend constexpr bool operator==(ref, ref) noexcept = default;

 private:
  constexpr explicit ref(ObjectId id) noexcept : id_(id) {}

  template <auto Member, class Value, class Combine>
  static task<Result<Value>> fold(ref self, Value value, Combine combine) {
    using R = detail::MethodResult<T, Member>;
    std::vector<task<Result<R>>> calls;
    const std::uint64_t cores = NodeTable::instance().cores_of(self.id_);
    for (std::uint16_t core = 0; core < kMaxCores; ++core) {
      if (cores >> core & 1) calls.push_back(self.on(CoreIndex(core)).template call<Member>());
    }
    for (Result<R>& result : co_await when_all(std::move(calls))) {
      if (!result) co_return std::move(result).error();
      value = combine(std::move(value), *std::move(result));
    }
    co_return value;
  }

  ObjectId id_;
};

namespace detail {

template <object_type T>
task<Result<ref<T>>> create() {
  NodeTable& table = NodeTable::instance();
  auto record = co_await table.directory().create(std::string(T::interface::name), T::interface::id, kFrontEndNode);
  if (!record) co_return std::move(record).error();
  table.enter(record->id, kTypeDescriptor<T>);
  co_return ref<T>::unchecked(record->id);
}

template <object_type T>
task<Result<ref<T>>> open(ObjectId id) {
  auto record = co_await NodeTable::instance().directory().lookup(id);
  if (!record) co_return std::move(record).error();
  if (record->interface_id != T::interface::id) {
    co_return Error(Errc::interface_mismatch, "object " + std::to_string(id.index()) + " is a " +
                                                  record->interface_name + ", not a " +
                                                  std::string(T::interface::name));
  }
  co_return ref<T>::unchecked(id);
}

task<Result<void>> destroy(ObjectId id, const TypeDescriptor* type);

}  // namespace detail

/// A new object of type T. No representative is made before the first use. Errors: resource_exhausted (no id left).
template <object_type T>
task<Result<ref<T>>> create() {
  return detail::create<T>();
}

/// A reference to an existing object by its id. Errors: no_such_object, interface_mismatch.
template <object_type T>
task<Result<ref<T>>> open(ObjectId id) {
  return detail::open<T>(id);
}

/// Ends an object: its directory entry, then every representative on its core, then the root. Calls that are under
/// way must have ended. Errors: no_such_object (also the second time), overloaded (see NodeTable::end).
template <object_type T>
task<Result<void>> destroy(ref<T> object) {
  return detail::destroy(object.id(), &detail::kTypeDescriptor<T>);
}

}  // namespace ebb
