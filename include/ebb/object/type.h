// What the runtime has to know of an object's type, with the type itself erased.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/depends_on.h"
#include "ebb/object/interface.h"
#include "ebb/object/policy.h"
#include "ebb/object/remote_method.h"
#include "ebb/wire/codec.h"

namespace ebb {

struct ObjectRecord;

/// A class is an object's type when it names its interface.
template <class T>
concept object_type = std::is_class_v<T> && requires {
  { T::interface::name } -> std::convertible_to<std::string_view>;
  { T::interface::id } -> std::convertible_to<std::uint64_t>;
};

/// A type whose state can travel: `auto save() const` gives it as a value that has a wire::Codec, `restore(value)` takes it,
/// on an object just made.
template <class T>
concept saves_state = requires(const T& object, T& empty) {
  { wire::encode(object.save()) };
  empty.restore(object.save());
};

namespace detail {

/// A type's state, as bytes and back.
struct StateCodec {
  Bytes (*save)(const void* representative) = nullptr;
  /// False if the bytes are no such state.
  bool (*restore)(void* representative, const Bytes& state) = nullptr;
};

/// Makes and ends the parts of one type's objects, as its policy does. What makes them may throw what the user's
/// constructors throw.
struct TypeDescriptor {
  std::string_view interface_name;
  std::uint64_t interface_id;
  std::string_view policy;
  bool exclusive;  ///< answers need the node's lease (node_link.h)
  bool caches;     ///< its representatives are dropped when the lease ends
  bool remade;     ///< its home is made anew when the home's node is gone
  void* (*make_root)(ObjectId id);  ///< nullptr: the object has no part that the cores of a node share
  void (*end_root)(void* root);
  void* (*make_representative)(ObjectId id, void* root);
  void (*end_representative)(void* representative, void* root);
  std::span<const RemoteMethod> methods;  ///< those that other nodes may call
  StateCodec state;                       ///< empty if the type has none
  /// How a call that arrived is carried out, if not by the method alone.
  task<Result<Bytes>> (*serve)(ObjectId id, void* representative, const RemoteMethod& method, Bytes arguments,
                               ServedCaller caller);
  /// What the core does that has just been made the home; in an event that may block. nullptr: nothing.
  void (*become_home)(ObjectId id);
  /// Nobody can tell whether its parts were ended: neither the type nor its root has a destructor that does anything.
  bool ends_unseen = false;
  bool shared = false;  ///< its representatives are all the node's shared part
  std::span<const std::uint64_t> depends_on{};  ///< the interfaces of objects that end later than those of this type

  const RemoteMethod* find(std::uint64_t method) const noexcept {
    for (const RemoteMethod& each : methods) {
      if (each.id == method) return &each;
    }
    return nullptr;
  }
};

/// The object of the record can be taken for a `type`. Errors: interface_mismatch (another interface, or of another kind).
Result<void> agrees(const ObjectRecord& record, const TypeDescriptor& type);

template <class T>
inline constexpr auto kRemoteMethods = T::interface::template remote_methods<T>();

template <class T>
inline constexpr auto kDependsOn = T::depends_on::interfaces();

template <class T>
constexpr StateCodec state_codec() noexcept {
  if constexpr (saves_state<T>) {
    using State = decltype(std::declval<const T&>().save());
    return {[](const void* object) -> Bytes { return wire::encode(static_cast<const T*>(object)->save()); },
            [](void* object, const Bytes& bytes) {
              // In as much memory as it takes: a program of this build had it before, and there may be no other copy.
              auto state = wire::decode<State>(wire::Reader(bytes, std::numeric_limits<std::size_t>::max()));
              if (state) static_cast<T*>(object)->restore(*std::move(state));
              return state.has_value();
            }};
  } else {
    return {};
  }
}

template <class T>
constexpr bool ends_unseen() noexcept {
  if constexpr (requires { typename T::root; }) {
    return std::is_trivially_destructible_v<T> && std::is_trivially_destructible_v<typename T::root>;
  } else {
    return std::is_trivially_destructible_v<T>;
  }
}

/// Nobody who ends an object could be told what its destructor throws.
template <class T>
constexpr bool ends_quietly() noexcept {
  static_assert(std::is_nothrow_destructible_v<T>, "an object's destructor must be accessible and must not throw: catch what it "
                                                   "calls, and leave out noexcept(false)");
  if constexpr (has_root<T>) {
    static_assert(std::is_nothrow_destructible_v<typename T::root>, "the destructor of an object's root must not throw");
  }
  return true;
}

template <class T>
constexpr TypeDescriptor describe() noexcept {
  static_assert(ends_quietly<T>());
  using Policy = policy_of<T>;
  TypeDescriptor descriptor{T::interface::name, T::interface::id, Policy::name, is_exclusive<Policy>(), is_cache<Policy>(), is_remade<Policy>(),
                            nullptr, nullptr, nullptr, nullptr, kRemoteMethods<T>, state_codec<T>(), nullptr, nullptr, ends_unseen<T>()};
  if constexpr (requires { &Policy::serve; }) descriptor.serve = &Policy::serve;
  if constexpr (requires { Policy::kShared; }) descriptor.shared = Policy::kShared;
  if constexpr (requires { typename T::depends_on; }) descriptor.depends_on = kDependsOn<T>;
  if constexpr (requires { &Policy::become_home; }) descriptor.become_home = &Policy::become_home;
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

/// Another implementation of an object's representatives (swap.h), with both types erased.
struct Implementation {
  std::string_view name;
  std::uint64_t id;
  std::uint64_t interface_id;
  void* (*make)(void* root);
  /// The successor of a representative, which ends afterwards.
  void* (*succeed)(void* old, void* root);
  bool own;  ///< the object's type itself, which representatives are of that were never swapped
};

/// One swap of an object.
struct Swap {
  const Implementation* implementation = nullptr;
  std::uint64_t number = 0;  ///< of two the higher stays; 0 where nobody counts, of static objects: the one that comes last
};

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

/// The same for implementations.
class ImplementationRegistration {
 public:
  explicit ImplementationRegistration(const Implementation& implementation) noexcept;
  ImplementationRegistration(const ImplementationRegistration&) = delete;
  ImplementationRegistration& operator=(const ImplementationRegistration&) = delete;
  /// nullptr if the program has none of this id.
  static const Implementation* find(std::uint64_t id) noexcept;
  /// Two implementations of a type under one name, which is a programming error: the name; else empty.
  static std::string_view find_duplicate() noexcept;

 private:
  const Implementation& implementation_;
  const ImplementationRegistration* next_;
};

/// Naming it (in whatever an application does with a T that other nodes may see) puts T on the list.
template <class T>
struct Registered {
  static inline const TypeRegistration entry{kTypeDescriptor<T>};
};

}  // namespace detail
}  // namespace ebb
