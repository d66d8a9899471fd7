// Everything of include/ebb/observe: traces.
#pragma once

#include "ebb/observe/span.h"  // IWYU pragma: export
