// Objects whose ids are fixed in the program: every node knows them without asking the directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/object/create.h"
#include "ebb/object/directory.h"
#include "ebb/object/ref.h"
#include "ebb/object/type.h"

namespace ebb {

namespace detail {

/// An entry in the program's list of static objects. Made before main().
class StaticRegistration {
 public:
  StaticRegistration(ObjectId id, const TypeDescriptor& type) noexcept;
  StaticRegistration(const StaticRegistration&) = delete;
  StaticRegistration& operator=(const StaticRegistration&) = delete;
  /// What the directory would say of the object; nothing for ids that the program does not name.
  static std::optional<ObjectRecord> find(ObjectId id);
  /// Those with ids above `after`, ordered by id.
  static std::vector<ObjectRecord> list(ObjectId after);
  /// Two types under one id, which is a programming error: the sentence that says which; else empty.
  static std::string find_collision();
  static std::string find_collision(ObjectId id);

 private:
  ObjectRecord record() const;

  const ObjectId id_;
  const TypeDescriptor& type_;
  const StaticRegistration* const next_;
};

}  // namespace detail

/// A reference to the object of type T that every program with this definition knows under `Id`:
///
///     inline constexpr ebb::static_object<Counter, 100> kCounter;
///
/// Use it as any ref<T>. It exists from the start of the first node to the end of the last; destroy() refuses it. The home
/// of a kind that has one is the front end's core 0, and stays there. Ids lie from kFirstApplicationObject to
/// kFirstDynamicObject (exclusive); two types under one id keep a node from starting, and where
/// there is no cluster from being used (invalid_argument).
template <object_type T, std::uint32_t Id>
class static_object : public ref<T> {
  static_assert(Id >= kFirstApplicationObject.index() && Id < kFirstDynamicObject.index(),
                "the ids of static objects are from 64 to 1023");

 public:
  constexpr static_object() noexcept : ref<T>(ref<T>::unchecked(ObjectId(Id))) {
    // Naming them puts the type and the object on the program's lists.
    static_cast<void>(&detail::Registered<T>::entry);
    static_cast<void>(&entry_);
  }

 private:
  static inline const detail::StaticRegistration entry_{ObjectId(Id), detail::kTypeDescriptor<T>};
};

template <object_type T, std::uint32_t Id>
task<Result<void>> destroy(static_object<T, Id>) = delete;

}  // namespace ebb
