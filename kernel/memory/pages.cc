#include "kernel/memory/pages.h"

#include <atomic>

#include "kernel/cpu/instructions.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/spin_lock.h"
#include "kernel/memory/prefaulted_guard.h"

namespace kernel::memory {
namespace {

struct Range {
  std::uint64_t next;  // below it everything has been given out at least once
  std::uint64_t end;
};
struct FreePage {
  FreePage* next;
};

// A core's own few pages: most allocations and frees touch no other core. Used with interrupts off.
constexpr std::size_t kCachedPages = 64;
constexpr std::size_t kMovedPages = kCachedPages / 2;  // to or from the common list, at once
struct alignas(64) Cache {
  FreePage* pages = nullptr;
  std::size_t count = 0;
};
constinit Cache caches[cpu::kMaxProcessors];

cpu::SpinLock lock;  // guards what follows
Range ranges[kMaxRamRanges];
std::size_t range_count = 0;
FreePage* returned = nullptr;
std::atomic<std::size_t> available{0};  // those in no cache
std::size_t total = 0;

// The compiler's memset belongs to the C library, which may not be up yet.
void clear(void* at, std::size_t bytes) noexcept {
  cpu::store_zero_words(at, bytes / 8);
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

void refill(Cache& cache) noexcept {
  const cpu::SpinGuard guard(lock);
  while (cache.count < kMovedPages) {
    FreePage* page = returned;
    if (page != nullptr) {
      returned = page->next;
    } else {
      page = static_cast<FreePage*>(carve(1));
      if (page == nullptr) return;
    }
    page->next = cache.pages;
    cache.pages = page;
    ++cache.count;
    available.fetch_sub(1, std::memory_order_relaxed);
  }
}

void drain(Cache& cache) noexcept {
  const cpu::SpinGuard guard(lock);
  for (std::size_t moved = 0; moved < kMovedPages; ++moved) {
    FreePage* page = cache.pages;
    cache.pages = page->next;
    --cache.count;
    page->next = returned;
    returned = page;
  }
  available.fetch_add(kMovedPages, std::memory_order_relaxed);
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
  FreePage* page;
  {
    const cpu::InterruptGuard interrupts;
    Cache& cache = caches[cpu::processor_index()];
    if (cache.pages == nullptr) refill(cache);
    page = cache.pages;
    if (page == nullptr) return nullptr;
    cache.pages = page->next;
    --cache.count;
  }
  clear(page, kPageBytes);
  return page;
}

void free_page(void* page) noexcept {
  auto* freed = static_cast<FreePage*>(page);
  const cpu::InterruptGuard interrupts;
  Cache& cache = caches[cpu::processor_index()];
  freed->next = cache.pages;
  cache.pages = freed;
  if (++cache.count == kCachedPages) drain(cache);
}

void* allocate_pages(std::size_t count) noexcept {
  void* run;
  {
    const PrefaultedGuard guard(lock);
    run = carve(count);
  }
  if (run == nullptr) return nullptr;
  available.fetch_sub(count, std::memory_order_relaxed);
  clear(run, count * kPageBytes);
  return run;
}

std::size_t free_pages() noexcept {
  std::size_t count = available.load(std::memory_order_relaxed);
  for (const Cache& cache : caches) count += cache.count;
  return count;
}
std::size_t total_pages() noexcept { return total; }

}  // namespace kernel::memory
