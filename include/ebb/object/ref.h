// A reference to an object, and this core's representative behind it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ebb/async/cancellation.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/home.h"
#include "ebb/object/node_target.h"
#include "ebb/object/partitioned.h"
#include "ebb/object/policy.h"
#include "ebb/object/target.h"
#include "ebb/object/type.h"
#include "ebb/platform/platform.h"
#include "ebb/wire/codec.h"

namespace ebb {

template <class T>
class everywhere_target;  // everywhere.h
template <class T>
class every_partition_target;  // every_partition.h

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
  /// throws). The pointer is good on this core until its representative goes: when the object is destroyed, swapped or dropped,
  /// and where it is a replica, when the node's lease ends or it could not follow the home. A call through it that waits keeps
  /// none of these from happening. What one may do with it is the policy's to say (policy.h).
  [[gnu::always_inline]] auto operator->() const { return &**this; }
  [[gnu::always_inline]] auto& operator*() const {
    using Pointer = typename policy_of<T>::template pointer<T>;
    static_assert(!std::is_void_v<Pointer>, "objects of this kind live in one place: call their methods with "
                                            "`object.call<&T::method>(...)`, which goes there");
    return *static_cast<Pointer>(&detail::representative<T>(id_));
  }

  /// Runs a method where the object's policy says: on this core's representative (per_core, per_node), on the home
  /// (single_home). See the call() of what it leads to: target, home_target.
  template <auto Member, class... Arguments>
  auto call(Arguments&&... arguments) const {
    return policy_of<T>::template route<T>(id_).template call<Member>(std::forward<Arguments>(arguments)...);
  }

  /// The same without an answer: the send() of where call() leads.
  template <auto Member, class... Arguments>
  auto send(Arguments&&... arguments) const {
    return policy_of<T>::template route<T>(id_).template send<Member>(std::forward<Arguments>(arguments)...);
  }

  /// Where call() and send() lead, with what is said here: as of every target (call_options.h).
  auto within(platform::Duration timeout) const { return policy_of<T>::template route<T>(id_).within(timeout); }
  template <class Parent>
  auto under(const Parent& parent) const {
    return policy_of<T>::template route<T>(id_).under(parent);
  }
  auto traced() const { return policy_of<T>::template route<T>(id_).traced(); }
  auto cancelled_by(cancel_token token) const { return policy_of<T>::template route<T>(id_).cancelled_by(std::move(token)); }

  /// The object's home: its one instance, or of kinds that have none the core that created it.
  home_target<T> on_home() const noexcept { return home_target<T>(id_); }

  /// The instance that has `key`, of a kind that is spread by keys (partitioned). Whatever is a string_view is the same key as
  /// the string.
  template <class Key>
  partition_target<T> on_key(const Key& key) const {
    static_assert(detail::kSpreadByKey<T>, "objects of this kind have no keys (partitioned ones do): call their methods with "
                                           "`object.call<&T::method>(...)`");
    if constexpr (!detail::kSpreadByKey<T>) {
      return {id_, 0};
    } else if constexpr (std::is_convertible_v<const Key&, std::string_view>) {
      return {id_, policy_of<T>::template partition_of<T>(std::string(std::string_view(key)))};
    } else {
      return {id_, policy_of<T>::template partition_of<T>(key)};
    }
  }

  /// All partitions, of a kind that is spread by keys: calls, gathering and reductions over all keys (every_partition.h).
  every_partition_target<T> every_partition() const noexcept;

  /// The representative of another core of this node.
  target<T> on(CoreIndex core) const noexcept { return target<T>(id_, core); }

  /// The representatives of a node: that of the core the call reaches, or a given one's.
  node_target<T> on(NodeId node, CoreIndex core = kAnyCore) const noexcept { return {id_, node, core}; }

  /// The representatives of all nodes: broadcasts, reductions, gathering and a barrier, along a tree (everywhere.h).
  everywhere_target<T> everywhere() const noexcept;

  /// everywhere().reduce() for who wants all or nothing: calls `Member` on every representative that there is, on all nodes
  /// and cores at once, and folds the results into `initial`. Representatives are not made for it. An error anywhere ends it,
  /// and is returned once all have answered; node_gone: nodes were lost meanwhile, and with them their part.
  template <auto Member, class Value, class Combine>
  task<Result<Value>> reduce(Value initial, Combine combine) const;

  /// By their ids, so that references can be keys of maps and members of sets.
  friend constexpr auto operator<=>(ref, ref) noexcept = default;

 private:
  constexpr explicit ref(ObjectId id) noexcept : id_(id) {}

  ObjectId id_;
};

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

template <class T>
struct std::hash<ebb::ref<T>> {
  std::size_t operator()(ebb::ref<T> object) const noexcept { return std::hash<ebb::ObjectId>()(object.id()); }
};
