// A thread can run out of memory at a chosen place (for the whole program: short_memory.cc).
#pragma once

namespace ebb::testing {

/// So many allocations from now on fails one, once; 0: none does. Of a program's operator new, without alignment.
inline thread_local int until_no_memory = 0;

}  // namespace ebb::testing
