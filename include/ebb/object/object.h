// Objects as applications use them: create one, call this core's representative through `->`, another core's through
// `.on(core)`, another node's through `.on(node)` or `.on(node, core)`, all of them through `.everywhere()`.
#pragma once

#include "ebb/object/create.h"      // IWYU pragma: export
#include "ebb/object/drop.h"        // IWYU pragma: export
#include "ebb/object/every_partition.h"  // IWYU pragma: export
#include "ebb/object/everywhere.h"  // IWYU pragma: export
#include "ebb/object/home.h"        // IWYU pragma: export
#include "ebb/object/partitioned.h" // IWYU pragma: export
#include "ebb/object/pipeline.h"    // IWYU pragma: export
#include "ebb/object/policy.h"      // IWYU pragma: export
#include "ebb/object/ref.h"         // IWYU pragma: export
#include "ebb/object/replicated.h"  // IWYU pragma: export
#include "ebb/object/static_object.h"  // IWYU pragma: export
#include "ebb/object/stream.h"      // IWYU pragma: export
#include "ebb/object/swap.h"        // IWYU pragma: export
#include "ebb/object/target.h"      // IWYU pragma: export
