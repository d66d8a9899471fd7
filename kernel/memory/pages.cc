#include "kernel/memory/pages.h"

#include <atomic>

#include "kernel/cpu/spin_lock.h"

namespace kernel::memory {
namespace {

struct Range {
  std::uint64_t next;  // below it everything has been given out at least once
  std::uint64_t end;
};
struct FreePage {
  FreePage* next;
};

cpu::SpinLock lock;
Range ranges[kMaxRamRanges];
std::size_t range_count = 0;
FreePage* returned = nullptr;
std::atomic<std::size_t> available{0};
std::size_t total = 0;

// The compiler's memset belongs to the C library, which may not be up yet.
void clear(void* at, std::size_t bytes) noexcept {
  auto* to = static_cast<unsigned char*>(at);
  std::size_t words = bytes / 8;
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(std::uint64_t{0}) : "memory");
}

void* carve(std::size_t pages) noexcept {
  std::uint64_t alignment = kPageBytes;
  while (alignment * 2 <= pages * kPageBytes && alignment < 2 << 20) alignment *= 2;
  for (std::size_t i = 0; i < range_count; ++i) {
    Range& range = ranges[i];
    const std::uint64_t begin = (range.next + alignment - 1) & ~(alignment - 1);
    if (begin > range.end || range.end - begin < pages * kPageBytes) continue;
    // What lies before an aligned run goes to the single pages.
    for (std::uint64_t gap = range.next; gap < begin; gap += kPageBytes) {
      auto* page = reinterpret_cast<FreePage*>(gap);
      page->next = returned;
      returned = page;
    }
    range.next = begin + pages * kPageBytes;
    return reinterpret_cast<void*>(begin);
  }
  return nullptr;
}

}  // namespace

void add_ram(std::uint64_t begin, std::uint64_t end) noexcept {
  begin = (begin + kPageBytes - 1) & ~std::uint64_t{kPageBytes - 1};
  end &= ~std::uint64_t{kPageBytes - 1};
  if (begin >= end || range_count == kMaxRamRanges) return;
  ranges[range_count++] = {begin, end};
  const auto pages = static_cast<std::size_t>((end - begin) / kPageBytes);
  total += pages;
  available.fetch_add(pages, std::memory_order_relaxed);
}

void* allocate_page() noexcept {
  void* page;
  {
    const cpu::SpinGuard guard(lock);
    if (returned != nullptr) {
      page = returned;
      returned = returned->next;
    } else {
      page = carve(1);
    }
  }
  if (page == nullptr) return nullptr;
  available.fetch_sub(1, std::memory_order_relaxed);
  clear(page, kPageBytes);
  return page;
}

void free_page(void* page) noexcept {
  auto* freed = static_cast<FreePage*>(page);
  {
    const cpu::SpinGuard guard(lock);
    freed->next = returned;
    returned = freed;
  }
  available.fetch_add(1, std::memory_order_relaxed);
}

void* allocate_pages(std::size_t count) noexcept {
  void* run;
  {
    const cpu::SpinGuard guard(lock);
    run = carve(count);
  }
  if (run == nullptr) return nullptr;
  available.fetch_sub(count, std::memory_order_relaxed);
  clear(run, count * kPageBytes);
  return run;
}

std::size_t free_pages() noexcept { return available.load(std::memory_order_relaxed); }
std::size_t total_pages() noexcept { return total; }

}  // namespace kernel::memory
