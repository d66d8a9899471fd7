// The one load behind every local call: each core's table of representatives, reached through %gs.
//
// glibc never uses %gs, on Linux a thread may set its base with arch_prctl(2), and on bare metal it is one MSR.
// So the same instruction serves both worlds, the table may be as large as the id space (its untouched pages
// cost nothing), and the id needs no translation of its own.
#pragma once

#include <cstddef>

#include "ebb/base/ids.h"

namespace ebb::platform {

/// Bytes of address space of one core's table. enter_core() maps it zero-filled and points %gs at it.
inline constexpr std::size_t kTranslationTableBytes = std::size_t{kMaxObjects} * sizeof(void*);

/// This core's representative of `id`, or nullptr: a miss. Only on a core, only for a valid id.
[[gnu::always_inline]] inline void* translate(ObjectId id) noexcept {
  void* representative;
  asm volatile("movq %%gs:(,%q1,8), %0" : "=r"(representative) : "r"(std::size_t{id.index()}));
  return representative;
}

/// Sets this core's slot; nullptr empties it. Only on a core, only for a valid id.
[[gnu::always_inline]] inline void set_translation(ObjectId id, void* representative) noexcept {
  asm volatile("movq %0, %%gs:(,%q1,8)" : : "r"(representative), "r"(std::size_t{id.index()}) : "memory");
}

}  // namespace ebb::platform
