// brk, mmap and their kin, over kernel/memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::libc {

/// Most that brk() may grow to. Address space only; memory comes when it is touched.
inline constexpr std::uint64_t kMaxBreakBytes = std::uint64_t{64} << 30;

std::uint64_t set_break(std::uint64_t address) noexcept;
/// Private anonymous memory only. MAP_FIXED only over what is mapped: the pages are dropped and the protection set.
std::int64_t map(std::uint64_t address, std::size_t bytes, std::uint64_t protection, std::uint64_t flags, std::uint64_t descriptor) noexcept;
std::int64_t unmap(std::uint64_t address, std::size_t bytes) noexcept;
std::int64_t protect(std::uint64_t address, std::size_t bytes, std::uint64_t protection) noexcept;
std::int64_t advise(std::uint64_t address, std::size_t bytes, std::uint64_t advice) noexcept;

}  // namespace kernel::libc
