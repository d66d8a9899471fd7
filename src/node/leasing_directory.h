// The front end's directory: the records, and for ids that a node holds a lease of, the node.
#pragma once

#include <memory>

#include "ebb/object/directory.h"

namespace ebb {

/// `store`, but that a lookup or a removal of an id that a node holds a lease of asks that node what it has made under it, and
/// enters that first: so nobody can tell whether it had been entered. A node that cannot be asked has made nothing that others
/// could know.
std::unique_ptr<Directory> make_leasing_directory(std::unique_ptr<Directory> store);

}  // namespace ebb
