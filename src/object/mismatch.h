// What references are told that do not name what they are taken for.
#pragma once

#include <string>
#include <string_view>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/type.h"
#include "src/object/construction.h"

namespace ebb::detail {

/// The object is a `interface_name`, and was taken for a `wanted`.
inline Error mismatch(ObjectId id, std::string_view interface_name, const TypeDescriptor& wanted) {
  return Error(Errc::interface_mismatch, describe(id) + " is a " + std::string(interface_name) + ", not a " +
                                             std::string(wanted.interface_name));
}

/// The object has ended, as this node knows.
inline Error destroyed(ObjectId id) {
  return Error(Errc::no_such_object, describe(id) + " was destroyed; drop the references to it");
}

/// The reference is an empty one.
inline Error names_nothing() {
  return Error(Errc::no_such_object, "this reference names no object; create or open one first");
}

}  // namespace ebb::detail
