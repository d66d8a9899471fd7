// What the runtime has to know of an object's type, with the type itself erased.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "ebb/object/interface.h"

namespace ebb {

/// A class is an object's type when it names its interface.
template <class T>
concept object_type = std::is_class_v<T> && requires {
  { T::interface::name } -> std::convertible_to<std::string_view>;
  { T::interface::id } -> std::convertible_to<std::uint64_t>;
};

namespace detail {

/// Makes and ends the parts of one type's objects. All functions may throw what the user's constructors throw.
struct TypeDescriptor {
  std::string_view interface_name;
  std::uint64_t interface_id;
  void* (*make_root)();  ///< nullptr: the type has no root
  void (*destroy_root)(void* root);
  void* (*make_representative)(void* root);
  void (*destroy_representative)(void* representative);
};

template <class T>
concept has_root = requires { typename T::root; };

/// A type made from its root if it has a constructor for that, else made from nothing.
template <class T>
void* make_representative(void* root) {
  static_cast<void>(root);
  if constexpr (has_root<T>) {
    if constexpr (std::is_constructible_v<T, typename T::root&>) {
      return new T(*static_cast<typename T::root*>(root));
    } else {
      return new T();
    }
  } else {
    return new T();
  }
}

template <class T>
constexpr TypeDescriptor describe() noexcept {
  TypeDescriptor descriptor{T::interface::name, T::interface::id, nullptr, nullptr, &make_representative<T>,
                            [](void* representative) { delete static_cast<T*>(representative); }};
  if constexpr (has_root<T>) {
    descriptor.make_root = []() -> void* { return new typename T::root(); };
    descriptor.destroy_root = [](void* root) { delete static_cast<typename T::root*>(root); };
  }
  return descriptor;
}

template <class T>
inline constexpr TypeDescriptor kTypeDescriptor = describe<T>();

}  // namespace detail
}  // namespace ebb
