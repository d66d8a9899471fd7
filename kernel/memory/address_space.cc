#include "kernel/memory/address_space.h"

#include <atomic>

#include "kernel/cpu/instructions.h"
#include "kernel/cpu/spin_lock.h"
#include "kernel/memory/pages.h"
#include "kernel/memory/prefaulted_guard.h"

namespace kernel::memory {
namespace {

// SDM vol. 3, 4.5
constexpr std::uint64_t kPresent = 1;
constexpr std::uint64_t kWritable = 2;
constexpr std::uint64_t kWriteThrough = 8;
constexpr std::uint64_t kCacheDisable = 0x10;
constexpr std::uint64_t kLarge = 0x80;
constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;
constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000;
constexpr std::uint64_t kLargeBytes = 2 << 20;
constexpr std::uint64_t kRegionsBegin = 0x1000'0000'0000;
constexpr std::uint64_t kRegionsEnd = 0x5000'0000'0000;

// Never RAM on a PC, however much there is: PCI windows, the APICs, the firmware.
constexpr std::uint64_t kDevicesBegin = 0xe000'0000;
constexpr std::uint64_t kDevicesEnd = 0x1'0000'0000;

using Table = std::uint64_t;

struct Region {
  std::uint64_t begin;
  std::uint64_t end;
  Access access;
};

Table* root = nullptr;
std::uint64_t ram_limit = 0;
cpu::SpinLock lock;  // tables below the regions, and the regions; populate() takes it in the page fault handler
Region regions[kMaxRegions];  // by address
std::size_t region_count = 0;
std::uint64_t next_address = kRegionsBegin;
std::atomic<bool> exhausted{false};
// Tables of pages that no region needs, linked through their first entry. They become tables again, nothing else: what
// another core remembers of one's old place then leads, at worst, its guesses ahead through a table.
Table* spare_tables = nullptr;

std::size_t index_at(std::uint64_t address, int level) noexcept { return address >> (12 + 9 * level) & 511; }

/// A table with no entry; nullptr without memory.
void* make_table(int level) noexcept {
  if (level != 0 || spare_tables == nullptr) return allocate_page();
  Table* table = spare_tables;
  spare_tables = reinterpret_cast<Table*>(*table);
  *table = 0;
  return table;
}

/// The entry for `address` in its table of `level` (0: pages, 1: 2 MiB), with the tables above it made if asked for.
Table* entry_of(std::uint64_t address, int level, bool make) noexcept {
  Table* table = root;
  for (int at = 3; at > level; --at) {
    Table& entry = table[index_at(address, at)];
    if ((entry & kPresent) == 0) {
      if (!make) return nullptr;
      void* fresh = make_table(at - 1);
      if (fresh == nullptr) return nullptr;
      entry = reinterpret_cast<std::uint64_t>(fresh) | kPresent | kWritable;
    }
    if (entry & kLarge) return nullptr;
    table = reinterpret_cast<Table*>(entry & kAddressMask);
  }
  return &table[index_at(address, level)];
}

/// The first region that ends behind `address`.
std::size_t find(std::uint64_t address) noexcept {
  std::size_t low = 0;
  std::size_t high = region_count;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (regions[middle].end <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool insert(std::size_t at, const Region& region) noexcept {
  if (region_count == kMaxRegions) return false;
  for (std::size_t i = region_count++; i > at; --i) regions[i] = regions[i - 1];
  regions[at] = region;
  return true;
}

void remove(std::size_t at) noexcept {
  --region_count;
  for (std::size_t i = at; i < region_count; ++i) regions[i] = regions[i + 1];
}

/// Makes `address` a boundary between regions, if one lies across it.
bool split(std::uint64_t address) noexcept {
  const std::size_t at = find(address);
  if (at == region_count || regions[at].begin >= address) return true;
  const Region tail{address, regions[at].end, regions[at].access};
  if (!insert(at + 1, tail)) return false;
  regions[at].end = address;
  return true;
}

void drop_pages(std::uint64_t begin, std::uint64_t end) noexcept {
  for (std::uint64_t address = begin; address < end;) {
    Table* entry = entry_of(address, 0, false);
    if (entry == nullptr) {  // nothing in these 2 MiB
      address = (address | (kLargeBytes - 1)) + 1;
      continue;
    }
    if (*entry & kAddressMask) {
      void* page = reinterpret_cast<void*>(*entry & kAddressMask);
      *entry = 0;
      cpu::invalidate_page(address);
      free_page(page);
    }
    address += kPageBytes;
  }
}

/// Puts by the tables between `begin` and `end`, all dropped, that serve no region now and none to come.
void put_tables_by(std::uint64_t begin, std::uint64_t end) noexcept {
  for (std::uint64_t at = begin & ~(kLargeBytes - 1); at < end && at + kLargeBytes <= next_address; at += kLargeBytes) {
    const std::size_t region = find(at);
    if (region < region_count && regions[region].begin < at + kLargeBytes) continue;
    Table* entry = entry_of(at, 1, false);
    if (entry == nullptr || (*entry & kPresent) == 0) continue;
    auto* table = reinterpret_cast<Table*>(*entry & kAddressMask);
    *entry = 0;
    cpu::invalidate_page(at);
    *table = reinterpret_cast<std::uint64_t>(spare_tables);
    spare_tables = table;
  }
}

void clear_pages(std::uint64_t begin, std::uint64_t end) noexcept {
  for (std::uint64_t address = begin; address < end;) {
    const Table* entry = entry_of(address, 0, false);
    if (entry == nullptr) {
      address = (address | (kLargeBytes - 1)) + 1;
      continue;
    }
    if (*entry & kAddressMask) {
      auto* words = reinterpret_cast<volatile std::uint64_t*>(*entry & kAddressMask);
      for (std::size_t i = 0; i < kPageBytes / sizeof(*words); ++i) words[i] = 0;
    }
    address += kPageBytes;
  }
}

void protect_pages(std::uint64_t begin, std::uint64_t end, Access access) noexcept {
  for (std::uint64_t address = begin; address < end;) {
    Table* entry = entry_of(address, 0, false);
    if (entry == nullptr) {
      address = (address | (kLargeBytes - 1)) + 1;
      continue;
    }
    if (*entry & kAddressMask) {
      *entry = (*entry & ~(kPresent | kWritable)) | (access == Access::none ? 0 : kPresent) |
               (access == Access::write ? kWritable : 0);
      cpu::invalidate_page(address);
    }
    address += kPageBytes;
  }
}

/// False without memory for a table.
bool map_uncached(std::uint64_t begin, std::uint64_t end) noexcept {
  const PrefaultedGuard guard(lock);
  for (std::uint64_t address = begin; address < end; address += kLargeBytes) {
    Table* entry = entry_of(address, 1, true);
    if (entry == nullptr) return false;
    *entry = address | kPresent | kWritable | kLarge | kNoExecute | kCacheDisable | kWriteThrough;
  }
  return true;
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t to) noexcept { return (value + to - 1) & ~(to - 1); }

}  // namespace

bool make_address_space(std::uint64_t ram_end, std::uint64_t image_end) noexcept {
  root = static_cast<Table*>(allocate_page());
  if (root == nullptr) return false;
  ram_limit = round_up(ram_end, kLargeBytes);
  // The first 2 MiB page by page: not the one at 0.
  for (std::uint64_t address = kPageBytes; address < kLargeBytes; address += kPageBytes) {
    Table* entry = entry_of(address, 0, true);
    if (entry == nullptr) return false;
    *entry = address | kPresent | kWritable;
  }
  for (std::uint64_t address = kLargeBytes; address < ram_limit; address += kLargeBytes) {
    if (address >= kDevicesBegin && address < kDevicesEnd) continue;
    Table* entry = entry_of(address, 1, true);
    if (entry == nullptr) return false;
    *entry = address | kPresent | kWritable | kLarge | (address < image_end ? 0 : kNoExecute);
  }
  // The local and the I/O APICs.
  for (const std::uint64_t window : {0xfec0'0000ull, 0xfee0'0000ull}) {
    if (!map_uncached(window, window + kLargeBytes)) return false;
  }
  cpu::write_cr3(reinterpret_cast<std::uint64_t>(root));
  return true;
}

std::uint64_t root_table() noexcept { return reinterpret_cast<std::uint64_t>(root); }

ebb::Result<volatile void*> map_device(std::uint64_t physical, std::size_t bytes) {
  const std::uint64_t begin = physical & ~(kLargeBytes - 1);
  const std::uint64_t end = round_up(physical + bytes, kLargeBytes);
  const bool among_devices = begin >= kDevicesBegin && end <= kDevicesEnd;
  if (bytes == 0 || end <= begin || (begin < ram_limit && !among_devices) || end > kRegionsBegin) {
    return ebb::Error(ebb::Errc::invalid_argument, "a device's window overlaps memory or the end of the address space");
  }
  // The text of an error takes memory, which may have to be populated.
  if (!map_uncached(begin, end)) return ebb::Error(ebb::Errc::resource_exhausted, "no memory to map a device's window");
  return reinterpret_cast<volatile void*>(physical);
}

void* reserve(std::size_t bytes, Access access, std::size_t alignment) noexcept {
  const std::uint64_t size = round_up(bytes, kPageBytes);
  if (size == 0 || alignment < kPageBytes || (alignment & (alignment - 1)) != 0) return nullptr;
  const PrefaultedGuard guard(lock);
  const std::uint64_t begin = round_up(next_address, alignment);
  if (begin < next_address || kRegionsEnd - begin < size || size > kRegionsEnd) return nullptr;
  // A page between regions stays empty, so that running off one does not reach the next.
  if (!insert(region_count, {begin, begin + size, access})) return nullptr;
  next_address = begin + size + kPageBytes;
  return reinterpret_cast<void*>(begin);
}

bool release(std::uint64_t address, std::size_t bytes) noexcept {
  const std::uint64_t end = round_up(address + bytes, kPageBytes);
  const PrefaultedGuard guard(lock);
  if (!split(address) || !split(end)) return false;
  for (std::size_t at = find(address); at < region_count && regions[at].begin < end;) {
    const Region region = regions[at];
    drop_pages(region.begin, region.end);
    remove(at);
    put_tables_by(region.begin, region.end);
  }
  return true;
}

bool protect(std::uint64_t address, std::size_t bytes, Access access) noexcept {
  const std::uint64_t end = round_up(address + bytes, kPageBytes);
  const PrefaultedGuard guard(lock);
  if (!split(address) || !split(end)) return false;
  for (std::size_t at = find(address); at < region_count && regions[at].begin < end; ++at) {
    regions[at].access = access;
    protect_pages(regions[at].begin, regions[at].end, access);
    // Neighbours of one kind that touch are one region again: the C library's heaps grow by thousands of steps.
    if (at > 0 && regions[at - 1].end == regions[at].begin && regions[at - 1].access == access) {
      regions[at - 1].end = regions[at].end;
      remove(at);
      --at;
    }
  }
  return true;
}

void discard(std::uint64_t address, std::size_t bytes) noexcept {
  if (address < kRegionsBegin || address >= kRegionsEnd) return;
  const std::uint64_t end = (address + bytes) & ~std::uint64_t{kPageBytes - 1};
  const PrefaultedGuard guard(lock);
  clear_pages(round_up(address, kPageBytes), end);
}

bool populate(std::uint64_t address, std::uint64_t error_code) noexcept {
  constexpr std::uint64_t kWriting = 2;
  constexpr std::uint64_t kFetching = 0x10;
  if (address < kRegionsBegin || address >= kRegionsEnd || (error_code & kFetching)) return false;
  const cpu::SpinGuard guard(lock);
  const std::size_t at = find(address);
  if (at == region_count || regions[at].begin > address) return false;
  const Access access = regions[at].access;
  if (access == Access::none || (access == Access::read && (error_code & kWriting))) return false;
  Table* entry = entry_of(address, 0, true);
  // Another core may have been first; or this one remembers what protect() has allowed meanwhile.
  if (entry != nullptr && (*entry & kPresent)) {
    cpu::invalidate_page(address);
    return true;
  }
  void* page = entry == nullptr ? nullptr : allocate_page();
  if (page == nullptr) {
    exhausted.store(true, std::memory_order_relaxed);
    return false;
  }
  *entry = reinterpret_cast<std::uint64_t>(page) | kPresent | kNoExecute | (access == Access::write ? kWritable : 0);
  return true;
}

std::uint64_t physical_of(const void* address) noexcept {
  const auto value = reinterpret_cast<std::uint64_t>(address);
  if (value < kRegionsBegin) return value < ram_limit ? value : 0;
  const PrefaultedGuard guard(lock);
  const Table* entry = entry_of(value, 0, false);
  return entry == nullptr || (*entry & kPresent) == 0 ? 0 : (*entry & kAddressMask) | (value & (kPageBytes - 1));
}

bool out_of_memory() noexcept { return exhausted.load(std::memory_order_relaxed); }

}  // namespace kernel::memory
