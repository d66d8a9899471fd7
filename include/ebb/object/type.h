// What the runtime has to know of an object's type, with the type itself erased.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "ebb/object/interface.h"
#include "ebb/object/remote_method.h"

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
  std::span<const RemoteMethod> methods;  ///< those that other nodes may call

  const RemoteMethod* find(std::uint64_t method) const noexcept {
    for (const RemoteMethod& each : methods) {
      if (each.id == method) return &each;
    }
    return nullptr;
  }
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
inline constexpr auto kRemoteMethods = T::interface::template remote_methods<T>();

template <class T>
constexpr TypeDescriptor describe() noexcept {
  TypeDescriptor descriptor{T::interface::name, T::interface::id, nullptr, nullptr, &make_representative<T>,
                            [](void* representative) { delete static_cast<T*>(representative); },
                            kRemoteMethods<T>};
  if constexpr (has_root<T>) {
    descriptor.make_root = []() -> void* { return new typename T::root(); };
    descriptor.destroy_root = [](void* root) { delete static_cast<typename T::root*>(root); };
  }
  return descriptor;
}

template <class T>
inline constexpr TypeDescriptor kTypeDescriptor = describe<T>();

/// An entry in the program's list of types, by which a node makes objects that others created. Made before main().
class TypeRegistration {
 public:
  explicit TypeRegistration(const TypeDescriptor& type) noexcept;
  TypeRegistration(const TypeRegistration&) = delete;
  TypeRegistration& operator=(const TypeRegistration&) = delete;
  /// The type with this interface, nullptr if the program has none.
  static const TypeDescriptor* find(std::uint64_t interface_id) noexcept;
  /// Two types under one interface name, which is a programming error: the name; else empty.
  static std::string_view find_duplicate() noexcept;

 private:
  const TypeDescriptor& type_;
  const TypeRegistration* next_;
};

/// Naming it (in whatever an application does with a T that other nodes may see) puts T on the list.
template <class T>
struct Registered {
  static inline const TypeRegistration entry{kTypeDescriptor<T>};
};

}  // namespace detail
}  // namespace ebb
