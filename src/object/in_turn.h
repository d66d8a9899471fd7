// Work on an object on another core, in order with the calls of it.
#pragma once

#include <type_traits>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::detail {

/// on_core(), but behind the calls of the object that this core has made there, which may wait for their turn: an end, or a barrier,
/// that was begun after them finds them under way. If too many calls wait there it fails with overloaded: thrown, or as its Result.
template <class F>
task<OnCoreResult<F>> in_turn(CoreIndex core, ObjectId object, F work) {
  const ObjectId queued = core != Core::current().index() ? object : ObjectId();
  CoreCall<F> there(core, queued, std::move(work));
  if constexpr (std::is_void_v<OnCoreResult<F>>) {
    co_await there;
  } else if constexpr (std::is_constructible_v<OnCoreResult<F>, Error>) {
    try {
      co_return co_await there;
    } catch (const ErrorException& failed) {
      co_return failed.error();
    }
  } else {
    co_return co_await there;
  }
}

}  // namespace ebb::detail
