// What the runtime has to know of an object's type, with the type itself erased.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "ebb/base/ids.h"
#include "ebb/object/interface.h"
#include "ebb/object/policy.h"
#include "ebb/object/remote_method.h"

namespace ebb {

/// A class is an object's type when it names its interface.
template <class T>
concept object_type = std::is_class_v<T> && requires {
  { T::interface::name } -> std::convertible_to<std::string_view>;
  { T::interface::id } -> std::convertible_to<std::uint64_t>;
};

namespace detail {

/// Makes and ends the parts of one type's objects, as its policy does. What makes them may throw what the user's
/// constructors throw.
struct TypeDescriptor {
  std::string_view interface_name;
  std::uint64_t interface_id;
  std::string_view policy;
  bool exclusive;  ///< answers need the node's lease (node_link.h)
  bool remade;     ///< its home is made anew when the home's node is gone
  void* (*make_root)(ObjectId id);  ///< nullptr: the object has no part that the cores of a node share
  void (*end_root)(void* root);
  void* (*make_representative)(ObjectId id, void* root);
  void (*end_representative)(void* representative, void* root);
  std::span<const RemoteMethod> methods;  ///< those that other nodes may call

  const RemoteMethod* find(std::uint64_t method) const noexcept {
    for (const RemoteMethod& each : methods) {
      if (each.id == method) return &each;
    }
    return nullptr;
  }
};

template <class T>
inline constexpr auto kRemoteMethods = T::interface::template remote_methods<T>();

template <class T>
constexpr TypeDescriptor describe() noexcept {
  using Policy = policy_of<T>;
  TypeDescriptor descriptor{T::interface::name, T::interface::id, Policy::name, is_exclusive<Policy>(), is_remade<Policy>(),
                            nullptr, nullptr, nullptr, nullptr, kRemoteMethods<T>};
  if constexpr (Policy::template kHasRoot<T>) {
    descriptor.make_root = [](ObjectId id) -> void* { return Policy::template make_root<T>(id); };
    descriptor.end_root = [](void* root) { Policy::template end_root<T>(root); };
  }
  descriptor.make_representative = [](ObjectId id, void* root) -> void* { return Policy::template on_miss<T>(id, root); };
  descriptor.end_representative = [](void* representative, void* root) {
    Policy::template end_representative<T>(static_cast<T*>(representative), root);
  };
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
