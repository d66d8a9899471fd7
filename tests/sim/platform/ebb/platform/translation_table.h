// The table of representatives of the core that runs, in a simulated world. It stands in for the header of the same name, whose %gs
// only the kernel may set on CPUs without FSGSBASE: a world goes from core to core at each step, and that call cost three
// quarters of a run.
#pragma once

#include <cstddef>

#include "ebb/base/ids.h"

namespace ebb::sim {

/// Of the core that runs; World sets it. nullptr between two.
inline constinit void** translation_table = nullptr;

}  // namespace ebb::sim

namespace ebb::platform {

inline constexpr std::size_t kTranslationTableBytes = std::size_t{kMaxObjects} * sizeof(void*);

inline void* translate(ObjectId id) noexcept { return sim::translation_table[id.index()]; }
inline void set_translation(ObjectId id, void* representative) noexcept { sim::translation_table[id.index()] = representative; }

}  // namespace ebb::platform
