// What the loader handed over (PVH: xen/include/public/arch-x86/hvm/start_info.h), checked and in our own words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kernel::boot {

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

inline constexpr std::size_t kMaxRanges = 32;
inline constexpr std::size_t kMaxCommandLineBytes = 4096;

/// Valid for the node's life: copied out of memory that is given away later, except for the module, which stays.
struct BootInfo {
  char command_line[kMaxCommandLineBytes];
  Range ram[kMaxRanges];
  std::size_t ram_count;
  std::span<const std::byte> module;  ///< the first boot module; empty without one
  std::uint64_t acpi_root;            ///< physical address of the ACPI RSDP; 0 if the loader named none
  std::uint64_t ram_end;
};

/// Reads what lies at `address`. False if it is no start info of a version with a memory map.
bool read_start_info(std::uint64_t address) noexcept;
const BootInfo& boot_info() noexcept;

}  // namespace kernel::boot
