// CHECK: what the programs of this folder promise, and whether all of it held.
#pragma once

#include <cstdio>

namespace ebb::test {

/// Promises that did not hold, of the whole program. Core 0.
inline int broken = 0;

inline void check(bool promise, const char* text, int line) {
  if (promise) return;
  ++broken;
  std::fprintf(stderr, "line %d: %s does not hold\n", line, text);
}

/// Says what the test looks for on the last line; the program's status.
inline int conclude() {
  std::printf(broken == 0 ? "all promises hold\n" : "%d promises are broken\n", broken);
  return broken == 0 ? 0 : 1;
}

}  // namespace ebb::test

#define CHECK(promise) ::ebb::test::check(promise, #promise, __LINE__)
