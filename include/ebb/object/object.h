// Objects as applications use them: create one, call this core's representative through `->`, another core's through
// `.on(core)`, another node's through `.on(node)` or `.on(node, core)`, all of them through `reduce`.
#pragma once

#include <algorithm>
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
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/signature.h"
#include "ebb/object/type.h"
#include "ebb/platform/translation_table.h"
#include "ebb/wire/codec.h"

namespace ebb {

template <class T>
class ref;

namespace detail {

/// The way of every call that finds no representative; out of line, so that a hit stays three instructions.
template <class T>
[[gnu::noinline, gnu::cold]] T& miss(ObjectId id) {
  static_cast<void>(&Registered<T>::entry);
  return *static_cast<T*>(NodeTable::instance().miss(id, kTypeDescriptor<T>));
}

/// What a call of `Member` gives: the value of its task or Result, if it returns one.
template <auto Member>
using MethodResult = typename SignatureOf<Member>::result;

}  // namespace detail

/// The representative of an object on one core of this node.
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
    return run<Member, Arguments...>(id_, core_, std::move(arguments)...);
  }

 private:
  template <auto Member, class... Arguments>
  static task<Result<detail::MethodResult<Member>>> run(ObjectId id, CoreIndex core, Arguments... arguments) {
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
      if constexpr (std::is_void_v<detail::OnCoreResult<decltype(work)>>) {
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
      const target<T> here(self.id_, self.core_ == kAnyCore ? Core::current().index() : self.core_);
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

/// A reference to an object: its id, no more. Copy it freely, hand it to any core. Callable only on a core.
///
/// Not constrained to object types, so that an object's methods may take and return references to its own type, which is
/// not complete there; using one of anything else does not compile.
template <class T>
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

  /// The representatives of a node: that of the core the call reaches, or a given one's.
  node_target<T> on(NodeId node, CoreIndex core = kAnyCore) const noexcept { return {id_, node, core, kDefaultTimeout}; }

  /// Calls `Member` on every representative that there is at this moment, on all nodes and cores at once, and folds the
  /// results into `initial` on the calling core, in the order of nodes and their cores: `combine(accumulated, result)`.
  /// Representatives are not made for it. An error anywhere ends it, and is returned once all have answered.
  template <auto Member, class Value, class Combine>
  task<Result<Value>> reduce(Value initial, Combine combine) const {
    return fold<Member, Value, Combine>(*this, std::move(initial), std::move(combine));
  }

  friend constexpr bool operator==(ref, ref) noexcept = default;

 private:
  constexpr explicit ref(ObjectId id) noexcept : id_(id) {}

  template <auto Member, class Value, class Combine>
  static task<Result<Value>> fold(ref self, Value value, Combine combine) {
    using R = detail::MethodResult<Member>;
    static_assert(std::tuple_size_v<typename detail::SignatureOf<Member>::stored> == 0, "a reduction's method takes nothing");
    static_assert(wire::travels<R>, "the result of a reduction's method must be a value that can travel between nodes");
    std::vector<task<Result<std::vector<R>>>> parts;
    const NodeId here = this_node();
    detail::NodeLink* link = detail::node_link();
    std::vector<NodeId> nodes = link == nullptr ? std::vector<NodeId>() : link->others();
    nodes.insert(std::upper_bound(nodes.begin(), nodes.end(), here), here);
    for (const NodeId node : nodes) {
      parts.push_back(node == here ? gather_here<Member>(self) : gather<Member>(self, node));
    }
    for (Result<std::vector<R>>& part : co_await when_all(std::move(parts))) {
      if (!part) co_return std::move(part).error();
      for (R& result : *part) value = combine(std::move(value), std::move(result));
    }
    co_return value;
  }

  template <auto Member>
  static task<Result<std::vector<detail::MethodResult<Member>>>> gather_here(ref self) {
    using R = detail::MethodResult<Member>;
    std::vector<task<Result<R>>> calls;
    const std::uint64_t cores = NodeTable::instance().cores_of(self.id_);
    for (std::uint16_t core = 0; core < kMaxCores; ++core) {
      if (cores >> core & 1) calls.push_back(self.on(CoreIndex(core)).template call<Member>());
    }
    std::vector<R> results;
    for (Result<R>& result : co_await when_all(std::move(calls))) {
      if (!result) co_return std::move(result).error();
      results.push_back(*std::move(result));
    }
    co_return results;
  }

  template <auto Member>
  static task<Result<std::vector<detail::MethodResult<Member>>>> gather(ref self, NodeId node) {
    auto answer = co_await detail::call_elsewhere(node, kAllCores, self.id_, T::interface::template method_id<Member>(),
                                                  kDefaultTimeout, Bytes());
    if (!answer) co_return std::move(answer).error();
    if (auto results = wire::decode<std::vector<detail::MethodResult<Member>>>(*answer)) co_return *std::move(results);
    co_return Error(Errc::malformed, "the answer of node " + std::to_string(to_number(node)) +
                                         " to a reduction does not decode; start all nodes from the same build");
  }

  ObjectId id_;
};

namespace detail {

template <object_type T>
task<Result<ref<T>>> create() {
  NodeTable& table = NodeTable::instance();
  auto record = co_await table.directory().create(std::string(T::interface::name), T::interface::id, this_node());
  static_cast<void>(&Registered<T>::entry);
  if (!record) co_return std::move(record).error();
  table.enter(record->id, kTypeDescriptor<T>);
  co_return ref<T>::unchecked(record->id);
}

template <object_type T>
task<Result<ref<T>>> open(ObjectId id) {
  static_cast<void>(&Registered<T>::entry);
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

/// Ends an object: its directory entry, then on each node every representative on its core and the root, this node
/// first. Calls that are under way must have ended. Errors: no_such_object (also the second time), overloaded (see
/// NodeTable::end), and those of a call to the other nodes.
template <object_type T>
task<Result<void>> destroy(ref<T> object) {
  return detail::destroy(object.id(), &detail::kTypeDescriptor<T>);
}

/// References travel as the id, under a name of their own.
template <class T>
struct wire::Codec<ref<T>> {
  static constexpr std::size_t kLeastBytes = wire::Codec<ObjectId>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    return fnv1a(">", fnv1a(T::interface::name, fnv1a("ref<", hash)));
  }
  static void write(wire::Writer& writer, ref<T> object) { wire::Codec<ObjectId>::write(writer, object.id()); }
  static ref<T> read(wire::Reader& reader) { return ref<T>::unchecked(wire::Codec<ObjectId>::read(reader)); }
};

}  // namespace ebb
