#include "kernel/boot/start_info.h"

namespace kernel::boot {
namespace {

struct StartInfo {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint32_t module_count;
  std::uint64_t modules;
  std::uint64_t command_line;
  std::uint64_t rsdp;
  std::uint64_t memory_map;  // from version 1 on
  std::uint32_t memory_map_entries;
  std::uint32_t reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
  std::uint64_t address;
  std::uint64_t size;
  std::uint64_t command_line;
  std::uint64_t reserved;
};
static_assert(sizeof(Module) == 32);

struct MemoryMapEntry {
  std::uint64_t address;
  std::uint64_t size;
  std::uint32_t type;
  std::uint32_t reserved;
};
static_assert(sizeof(MemoryMapEntry) == 24);

constexpr std::uint32_t kMagic = 0x336e'c578;
constexpr std::uint32_t kRam = 1;

constinit BootInfo info{};

}  // namespace

bool read_start_info(std::uint64_t address) noexcept {
  const auto* start = reinterpret_cast<const StartInfo*>(address);
  if (start == nullptr || start->magic != kMagic || start->version < 1 || start->memory_map == 0) return false;
  if (const auto* text = reinterpret_cast<const char*>(start->command_line)) {
    std::size_t size = 0;
    while (size + 1 < kMaxCommandLineBytes && text[size] != 0) {
      info.command_line[size] = text[size];
      ++size;
    }
    info.command_line[size] = 0;
  }
  const auto* map = reinterpret_cast<const MemoryMapEntry*>(start->memory_map);
  for (std::uint32_t i = 0; i < start->memory_map_entries; ++i) {
    if (map[i].type != kRam || map[i].size == 0 || info.ram_count == kMaxRanges) continue;
    const std::uint64_t end = map[i].address + map[i].size;
    if (end < map[i].address) continue;
    info.ram[info.ram_count++] = {map[i].address, end};
    if (end > info.ram_end) info.ram_end = end;
  }
  if (start->module_count > 0 && start->modules != 0) {
    const auto* module = reinterpret_cast<const Module*>(start->modules);
    info.module = {reinterpret_cast<const std::byte*>(module->address), static_cast<std::size_t>(module->size)};
  }
  info.acpi_root = start->rsdp;
  return info.ram_count != 0;
}

const BootInfo& boot_info() noexcept { return info; }

}  // namespace kernel::boot
