// Physical memory: who owns which page. RAM is mapped one to one, so a page's address is also where it can be touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::memory {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kMaxRamRanges = 32;

/// Gives a range of unused RAM to the allocator; at boot, on one processor. Beyond kMaxRamRanges the range is left out.
void add_ram(std::uint64_t begin, std::uint64_t end) noexcept;

/// One zeroed page, or nullptr when there is none. Any core, on a stack that is there already (PrefaultedGuard): the page
/// fault handler calls it too. Comes from the core's own cache; every 32nd time or so a lock is taken for a moment. When the
/// rest is gone, pages in other cores' caches (at most 64 each) count as gone too.
void* allocate_page() noexcept;
/// Takes it back. Called as allocate_page().
void free_page(void* page) noexcept;

/// `count` pages that follow each other, zeroed, aligned to their size rounded down to a power of two at most 2 MiB;
/// nullptr when no range has that many left. They are not given back: for rings and buffers that live as long as the
/// node.
void* allocate_pages(std::size_t count) noexcept;

/// Pages that nobody owns; while cores allocate, off by what is under way.
std::size_t free_pages() noexcept;
std::size_t total_pages() noexcept;

}  // namespace kernel::memory
