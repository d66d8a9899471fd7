// Which representatives a core is constructing right now, and who waits for them.
#pragma once

#include <chrono>
#include <string>

#include "ebb/base/ids.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// The object as errors call it.
inline std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }

/// How long anybody waits for a part of an object that is being made: constructors that wait for each other's objects, over
/// however many cores, would wait for ever.
inline constexpr platform::Duration kMaxConstruction = std::chrono::seconds(30);

/// A constructor of `id` uses the object that it is part of.
[[noreturn]] void throw_recursive(ObjectId id);
/// A part of `id` has been made for longer than kMaxConstruction.
[[noreturn]] void throw_stuck(ObjectId id);

/// Waits until no event of this core constructs its representative of `id`. Throws ErrorException: overloaded (this event cannot
/// wait), internal (it is the one that constructs), deadline_exceeded (kMaxConstruction).
void await_construction(ObjectId id);

/// Registers the construction for its lifetime and then wakes who waited, whether it succeeded or threw.
class ConstructionScope {
 public:
  explicit ConstructionScope(ObjectId id);
  ~ConstructionScope();
  ConstructionScope(const ConstructionScope&) = delete;
  ConstructionScope& operator=(const ConstructionScope&) = delete;

 private:
  ObjectId id_;
};

}  // namespace ebb::detail
