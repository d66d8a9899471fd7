// The front end's directory: homes are moved to nodes that stay.
#pragma once

#include <memory>

#include "ebb/object/directory.h"

namespace ebb {

/// `store`, but that re_home() refuses (unavailable) to move a home that lives to a node that is to leave: it would come after
/// those that move away from there, and end with the node. A home whose node is gone may be made anew wherever its state is.
/// To a node that is no member nothing is moved: nobody would look for what is lost there.
std::unique_ptr<Directory> make_staying_directory(std::unique_ptr<Directory> store);

}  // namespace ebb
