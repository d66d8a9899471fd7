// The one address space: RAM one to one, device windows, and regions that get their pages when they are first touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ebb/base/result.h"

namespace kernel::memory {

/// Replaces the boot tables: `ram_end` bytes of RAM mapped one to one, the page at 0 left out so that a null pointer
/// faults. On processor 0 at boot, after add_ram(). False when there is no memory for the tables.
bool make_address_space(std::uint64_t ram_end, std::uint64_t image_end) noexcept;

/// The tables' address, for other processors.
std::uint64_t root_table() noexcept;

/// Maps a device's registers one to one, uncached. Any core. Errors: resource_exhausted (no page for a table),
/// invalid_argument (the window touches RAM or wraps around).
ebb::Result<volatile void*> map_device(std::uint64_t physical, std::size_t bytes);

enum class Access : std::uint8_t { none, read, write };

/// Most regions of the address space (a thread's stack is two: it and its guard).
inline constexpr std::size_t kMaxRegions = 16'384;

/// Reserves `bytes` (rounded up to pages) of address space, a multiple of `alignment` apart. Pages come, zeroed, when
/// they are touched. Addresses are never used twice, so that no core can hold an old translation of a new region;
/// 64 TiB last for any node's life. nullptr when the address space or the table of regions is full. Any core.
void* reserve(std::size_t bytes, Access access, std::size_t alignment = 4096) noexcept;
/// Ends whole or part of what reserve() gave and frees its pages; what is not reserved is left alone. Nobody may touch
/// it any more. False when the table of regions is full (it may have to split one).
bool release(std::uint64_t address, std::size_t bytes) noexcept;
/// Changes how reserved memory may be used. False as for release().
bool protect(std::uint64_t address, std::size_t bytes, Access access) noexcept;
/// Empties the region: the next touch finds zeros. The pages stay with it. To free them, every core would have to forget
/// where they were first, for the region's addresses are used again: by the C library's heaps, at once and on any core.
void discard(std::uint64_t address, std::size_t bytes) noexcept;

/// For the page fault handler: brings the page in if `address` lies in a region that allows the access; false if not,
/// or if there is no memory.
bool populate(std::uint64_t address, std::uint64_t error_code) noexcept;

/// Where RAM backs this address now; 0 if nothing does.
std::uint64_t physical_of(const void* address) noexcept;

/// Why populate() failed, for the report: true if the last one on any core found no free page.
bool out_of_memory() noexcept;

}  // namespace kernel::memory
