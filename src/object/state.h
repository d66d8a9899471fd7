// States of objects as their own save() and restore() give and take them, which may fail in whatever way user code does.
#pragma once

#include "ebb/base/bytes.h"
#include "ebb/base/result.h"
#include "ebb/object/type.h"

namespace ebb::detail {

/// What save() gives. application_error: it threw.
Result<Bytes> save_state(const TypeDescriptor& type, const void* object);

/// Hands `state` to restore() of an object just made, which is of no use if that fails; the state is. Errors: application_error
/// (it threw), malformed (the bytes are no such state).
Result<void> restore_state(const TypeDescriptor& type, void* object, const Bytes& state);

}  // namespace ebb::detail
