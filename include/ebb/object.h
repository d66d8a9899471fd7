// All that an application needs to define and use objects.
#pragma once

#include "ebb/object/directory.h"  // IWYU pragma: export
#include "ebb/object/interface.h"  // IWYU pragma: export
#include "ebb/object/object.h"     // IWYU pragma: export
