// Idle objects out of a node's memory, and back at their next use.
#pragma once

#include <cstdint>

#include "ebb/async/task.h"
#include "ebb/base/result.h"
#include "ebb/object/node_table.h"
#include "ebb/object/ref.h"
#include "ebb/object/type.h"

namespace ebb {

/// Ends what this node has in memory of an object, which lives on: its id goes on naming it, and the next access makes a
/// representative as the first one did. How many representatives went. Those with calls under way stay (calls through `->` are not
/// seen, as in destroy()).
///
/// A type that has save() and restore() keeps its state on this node meanwhile; others begin anew. What the cores of a node share
/// as a `root` stays. Of a kind with one place (single_home) the type must save its state; replicas are fetched again at their
/// next use, and that of the home stays. Errors: no_such_object, interface_mismatch (it is no T), invalid_argument
/// (partitions, or one place without save()), overloaded (what the cores share is being made), deadline_exceeded (a
/// representative is, and was not ready in time), application_error (save() threw; that representative stays), or the code of
/// the ErrorException that it threw.
template <object_type T>
task<Result<std::uint32_t>> drop(ref<T> object) {
  return NodeTable::instance().drop(object.id(), &detail::kTypeDescriptor<T>);
}

}  // namespace ebb
