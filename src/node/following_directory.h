// A directory whose records may follow the objects: a node makes most of its objects without asking.
#pragma once

#include <memory>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/directory.h"

namespace ebb {

/// `store`, but that objects without a name, of kinds that may answer anywhere, get their ids from leases that each core takes,
/// and are entered in batches: when kBatch wait, or after kDelay. Whoever looks such an object up before finds it all the same
/// (leasing_directory.h). At most kMaxWaiting of a core are not entered; more creations wait.
///
/// Objects that a core made are entered in their order, and before whatever the node creates afterwards that does not follow; of
/// those that follow, two that two cores made at nearly the same time are perhaps entered in another.
/// An object whose maker is lost before it was entered, or looked up by another node, never was.
std::unique_ptr<Directory> make_following_directory(std::unique_ptr<Directory> store);

/// The directory of a node that is not the front end.
std::unique_ptr<Directory> make_backend_directory();

namespace detail {
/// What `id` names, as this node's table has it; no_such_object. Any core.
Result<NewObject> describe_here(ObjectId id);
}  // namespace detail

}  // namespace ebb
