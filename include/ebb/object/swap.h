// Replacing the implementation of a living object, after K42's hot swapping [Soules et al.: System support for online
// reconfiguration, USENIX ATC 2003].
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/hash.h"
#include "ebb/base/result.h"
#include "ebb/object/policy.h"
#include "ebb/object/ref.h"
#include "ebb/object/type.h"

namespace ebb {

/// A way to carry out a T, whose methods are virtual: T itself, or a class derived from it that has a name by which all programs
/// know it.
template <class I, class T>
concept implementation_of = std::has_virtual_destructor_v<T> &&
                            (std::same_as<I, T> || (std::derived_from<I, T> && requires {
                               { I::implementation } -> std::convertible_to<std::string_view>;
                             }));

namespace detail {

template <class I, class T>
concept implemented_from_root = has_root<T> && std::is_constructible_v<I, typename T::root&>;

/// From its predecessor if it has a constructor for that, so that state lives on; else like a new one.
template <class I, class T>
void* succeed(void* old, void* root) {
  static_cast<void>(old), static_cast<void>(root);
  if constexpr (std::is_constructible_v<I, T&&>) {
    return static_cast<T*>(new I(std::move(*static_cast<T*>(old))));
  } else if constexpr (implemented_from_root<I, T>) {
    return static_cast<T*>(new I(*static_cast<typename T::root*>(root)));
  } else {
    return static_cast<T*>(new I());
  }
}

template <class I, class T>
void* make_implementation(void* root) {
  static_cast<void>(root);
  if constexpr (implemented_from_root<I, T>) {
    return static_cast<T*>(new I(*static_cast<typename T::root*>(root)));
  } else {
    return static_cast<T*>(new I());
  }
}

template <class I, class T>
constexpr std::string_view implementation_name() noexcept {
  if constexpr (std::is_same_v<I, T>) {
    return T::interface::name;
  } else {
    return I::implementation;
  }
}

template <class I, class T>
inline constexpr Implementation kImplementation{implementation_name<I, T>(),
                                                fnv1a(implementation_name<I, T>(), fnv1a("!", T::interface::id)),
                                                T::interface::id,
                                                &make_implementation<I, T>,
                                                &succeed<I, T>,
                                                std::is_same_v<I, T>};

template <class I, class T>
struct RegisteredImplementation {
  static inline const ImplementationRegistration entry{kImplementation<I, T>};
};

task<Result<std::uint32_t>> swap(ObjectId id, const TypeDescriptor* type, const Implementation* implementation);

}  // namespace detail

/// Has `Implementation` carry out the object's calls from now on, on every core of every node: behind the same slot, at the
/// cost of the same virtual call. Each core replaces its representative at a moment at which no call is under way in it
/// (see detail::CallUnderWay for which are seen; one that was begun through `->` and waits is not), and cores that touch the
/// object later make the new one. How many were replaced. Errors: no_such_object, interface_mismatch, overloaded (a core
/// had no such moment for NodeTable::kSwapLimit; others may have been replaced), and those of a call to the other nodes.
/// What the successor's constructor throws is application_error, and leaves the old one in its place on that core. A node
/// that joins later makes the new one too; of an object with a static id, which the directory does not list, it makes T.
/// Of two swaps at once the one that the directory heard of later stays on every node. `Implementation` may be T itself again.
template <class I, class T>
  requires implementation_of<I, T>
task<Result<std::uint32_t>> swap(ref<T> object) {
  static_assert(std::is_same_v<policy_of<T>, per_core>, "only objects with a representative a core can be swapped");
  static_cast<void>(&detail::RegisteredImplementation<I, T>::entry);
  return detail::swap(object.id(), &detail::kTypeDescriptor<T>, &detail::kImplementation<I, T>);
}

}  // namespace ebb
