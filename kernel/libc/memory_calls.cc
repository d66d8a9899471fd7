#include "kernel/libc/memory_calls.h"

#include <errno.h>
#include <sys/mman.h>

#include "kernel/cpu/spin_lock.h"
#include "kernel/memory/address_space.h"

namespace kernel::libc {
namespace {

cpu::SpinLock lock;
std::uint64_t break_begin = 0;
std::uint64_t break_now = 0;

memory::Access to_access(std::uint64_t protection) noexcept {
  if (protection & PROT_WRITE) return memory::Access::write;
  return protection & PROT_READ ? memory::Access::read : memory::Access::none;
}

}  // namespace

std::uint64_t set_break(std::uint64_t address) noexcept {
  const cpu::SpinGuard guard(lock);
  if (break_begin == 0) {
    void* region = memory::reserve(kMaxBreakBytes, memory::Access::write);
    if (region == nullptr) return 0;
    break_begin = break_now = reinterpret_cast<std::uint64_t>(region);
  }
  if (address >= break_begin && address - break_begin <= kMaxBreakBytes) {
    if (address < break_now) memory::discard(address, break_now - address);
    break_now = address;
  }
  return break_now;
}

std::int64_t map(std::uint64_t address, std::size_t bytes, std::uint64_t protection, std::uint64_t flags, std::uint64_t) noexcept {
  if ((flags & MAP_ANONYMOUS) == 0) return -ENODEV;
  if (bytes == 0 || (protection & PROT_EXEC)) return -EINVAL;
  if (flags & MAP_FIXED) {
    memory::discard(address, bytes);
    return memory::protect(address, bytes, to_access(protection)) ? static_cast<std::int64_t>(address) : -ENOMEM;
  }
  void* region = memory::reserve(bytes, to_access(protection));
  return region == nullptr ? -ENOMEM : reinterpret_cast<std::int64_t>(region);
}

std::int64_t unmap(std::uint64_t address, std::size_t bytes) noexcept {
  return memory::release(address, bytes) ? 0 : -ENOMEM;
}

std::int64_t protect(std::uint64_t address, std::size_t bytes, std::uint64_t protection) noexcept {
  return memory::protect(address, bytes, to_access(protection)) ? 0 : -ENOMEM;
}

std::int64_t advise(std::uint64_t address, std::size_t bytes, std::uint64_t advice) noexcept {
  if (advice == MADV_DONTNEED) memory::discard(address, bytes);
  return 0;
}

}  // namespace kernel::libc
