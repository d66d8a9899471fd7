// Randomness from the processor.
#pragma once

#include <cstddef>

namespace kernel::cpu {

/// Whether the processor has RDRAND; without it fill_random() mixes the jitter of its own clock, which is no secret to a
/// determined observer, and says so once on the console.
bool has_hardware_random() noexcept;

/// Any core, any context.
void fill_random(void* at, std::size_t size) noexcept;

}  // namespace kernel::cpu
