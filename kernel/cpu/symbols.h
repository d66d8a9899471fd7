// The image's own symbol table: functions by address, put in by the image's second link (kernel/cmake).
#pragma once

#include <cstdint>

namespace kernel::cpu {

/// The name of the function that `address` lies in, and how far from its beginning; nullptr if the image has none there.
const char* symbol_at(std::uint64_t address, std::uint64_t& offset) noexcept;

}  // namespace kernel::cpu
