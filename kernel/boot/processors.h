// Starting the other processors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::boot {

/// Where the start code of other processors is put: below 1 MiB, on a page of its own.
inline constexpr std::uint64_t kApTrampoline = 0x8000;

/// Reads which processors there are, while all memory is still as the firmware left it.
void find_all_processors() noexcept;

/// Starts all processors that were found, one after the other; each parks in libc::run_threads(). One that does not
/// come up within about 2 s is left out, and so are those behind it, with a line on the console.
void start_processors() noexcept;

}  // namespace kernel::boot
