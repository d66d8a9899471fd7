// How a test of objects ends: with all of them.
#pragma once

#include <utility>

#include "ebb/async/task.h"
#include "ebb/object/node_table.h"

namespace ebb::testing {

/// `body`, and then the end of every object that is left, those of the runtime too: the next test of the program begins anew, and
/// nothing is left behind that a sanitizer would take for lost.
inline task<int> with_clean_end(task<int> body) {
  const int status = co_await std::move(body);
  co_await NodeTable::instance().clear();
  co_return status;
}

}  // namespace ebb::testing
