// Kinds of objects, as policies that a type names: which parts an object has on a node, who makes them, and what a
// reference's `->` gives.
#pragma once

#include <string_view>
#include <type_traits>

#include "ebb/async/context.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"

namespace ebb {

namespace detail {

template <class T>
concept has_root = requires { typename T::root; };
template <class T>
concept made_from_root = has_root<T> && std::is_constructible_v<T, typename T::root&>;

template <class Policy>
constexpr bool is_exclusive() noexcept {
  if constexpr (requires { Policy::kExclusive; }) return Policy::kExclusive;
  return false;
}
template <class Policy>
constexpr bool is_remade() noexcept {
  if constexpr (requires { Policy::kRemade; }) return Policy::kRemade;
  return false;
}

template <class Policy>
constexpr bool is_cache() noexcept {
  if constexpr (requires { Policy::kCaches; }) return Policy::kCaches;
  return false;
}

/// Tells a new instance what there was before it, if its type wants to hear of that, and waits if it does. In an event that can
/// block.
template <class T, class Lost>
void tell_lost(T& instance, const Lost& lost) {
  if constexpr (requires { instance.on_lost(lost); }) {
    using Outcome = decltype(instance.on_lost(lost));
    static_assert(std::is_void_v<Outcome> || std::is_same_v<Outcome, task<void>>,
                  "on_lost() gives nothing, or is a task<void>; what fails in it throws, and the next access tries again");
    if constexpr (std::is_void_v<Outcome>) {
      instance.on_lost(lost);
    } else {
      block_on(instance.on_lost(lost));
    }
  }
}

}  // namespace detail

template <class T>
class target;

/// One representative a core, made when the core first touches the object: the default. A type may have a `root`, which
/// the cores of a node share (made before its first representative, handed to its constructor if that takes one) and whose
/// methods must bear being called from all of them.
///
/// It is also the model of a policy: derive from it (or write the same members) and name it in the type,
/// `using policy = my_policy;`. Each member runs on the core whose part is meant, in an event that may block; what the
/// two that make parts throw reaches whoever touched the object, and the next access tries again. What ends them must not throw.
///
/// Members that per_core does without, each false or nothing where it is absent: `kShared` (representatives are the node's shared
/// part itself), `kExclusive` (they answer only while their node has its lease), `kCaches` (they are dropped when that ends),
/// `kRemade` (the home is made anew elsewhere when its node is lost), `serve` and `become_home` (see detail::TypeDescriptor).
/// What is to have a home, replicas or partitions derives from the kind that has them, and replaces what it does otherwise,
/// such as on_miss.
struct per_core {
  /// As the directory and tools call it; part of an object's record, so that programs that disagree find out.
  static constexpr std::string_view name = "per_core";

  /// What `->` gives.
  template <class T>
  using pointer = T*;

  /// Where `object.call<&T::method>()` goes: something with such a call().
  template <class T>
  static target<T> route(ObjectId id) noexcept {
    return target<T>(id, kAnyCore);
  }

  /// Whether there is a part that the cores of a node share.
  template <class T>
  static constexpr bool kHasRoot = detail::has_root<T>;

  /// Makes the node's shared part; called once a node, if kHasRoot.
  template <class T>
  static void* make_root(ObjectId) {
    return new typename T::root();
  }
  template <class T>
  static void end_root(void* root) {
    delete static_cast<typename T::root*>(root);
  }

  /// The miss handler: gives the representative that this core calls from now on, never nullptr. `root` is nullptr unless kHasRoot.
  template <class T>
  static T* on_miss(ObjectId, void* root) {
    static_cast<void>(root);
    if constexpr (detail::made_from_root<T>) {
      return new T(*static_cast<typename T::root*>(root));
    } else {
      static_assert(std::is_default_constructible_v<T>, "an object of this kind is made without arguments, or from its `root`: "
                                                        "give its class a constructor that takes none, or `root&`");
      return new T();
    }
  }
  /// Ends what on_miss gave; before the root.
  template <class T>
  static void end_representative(T* representative, void*) {
    delete representative;
  }
};

/// One instance a node, which all its cores call: for what is large or rarely used. Its methods must bear being called
/// from several cores at once, and const ones are no exception.
struct per_node {
  static constexpr std::string_view name = "per_node";
  /// A representative is the node's shared part itself.
  static constexpr bool kShared = true;
  template <class T>
  using pointer = T*;
  template <class T>
  static target<T> route(ObjectId id) noexcept {
    return target<T>(id, kAnyCore);
  }
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ObjectId) {
    static_assert(!detail::has_root<T>, "an object of the kind per_node is what its cores share; it has no root besides");
    static_assert(std::is_default_constructible_v<T>, "an object of this kind is made without arguments: give its class a "
                                                      "constructor that takes none");
    return new T();
  }
  template <class T>
  static void end_root(void* root) {
    delete static_cast<T*>(root);
  }
  template <class T>
  static T* on_miss(ObjectId, void* root) {
    return static_cast<T*>(root);
  }
  template <class T>
  static void end_representative(T*, void*) {}
};

namespace detail {

template <class T>
struct PolicyOf {
  using type = per_core;
};
template <class T>
  requires requires { typename T::policy; }
struct PolicyOf<T> {
  using type = typename T::policy;
};

}  // namespace detail

/// The kind of T's objects: the policy it names, else per_core.
template <class T>
using policy_of = typename detail::PolicyOf<T>::type;

}  // namespace ebb
