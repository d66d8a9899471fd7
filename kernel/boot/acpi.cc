#include "kernel/boot/acpi.h"

namespace kernel::boot {
namespace {

struct [[gnu::packed]] RootPointer {
  char signature[8];
  std::uint8_t checksum;
  char oem[6];
  std::uint8_t revision;
  std::uint32_t rsdt;
  std::uint32_t length;
  std::uint64_t xsdt;
};

struct [[gnu::packed]] TableHeader {
  char signature[4];
  std::uint32_t length;
  std::uint8_t revision;
  std::uint8_t checksum;
  char oem[6];
  char oem_table[8];
  std::uint32_t oem_revision;
  std::uint32_t creator;
  std::uint32_t creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

constexpr std::uint64_t kMapped = std::uint64_t{4} << 30;
constexpr std::uint32_t kLongestTable = 1 << 20;

bool sums_to_zero(const void* at, std::size_t size) noexcept {
  std::uint8_t sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum = static_cast<std::uint8_t>(sum + static_cast<const std::uint8_t*>(at)[i]);
  return sum == 0;
}

template <std::size_t Size>
bool starts_with(const char* text, const char (&wanted)[Size]) noexcept {
  for (std::size_t i = 0; i + 1 < Size; ++i) {
    if (text[i] != wanted[i]) return false;
  }
  return true;
}

const RootPointer* root_at(std::uint64_t address) noexcept {
  const auto* root = reinterpret_cast<const RootPointer*>(address);
  constexpr std::size_t kFirstVersionBytes = 20;
  return starts_with(root->signature, "RSD PTR ") && sums_to_zero(root, kFirstVersionBytes) ? root : nullptr;
}

// [ACPI 5.2.5.1] On 16-byte boundaries between 0xe0000 and 1 MiB.
const RootPointer* find_root() noexcept {
  for (std::uint64_t address = 0xe'0000; address < 0x10'0000; address += 16) {
    if (const RootPointer* root = root_at(address)) return root;
  }
  return nullptr;
}

const TableHeader* table_at(std::uint64_t address) noexcept {
  if (address == 0 || address > kMapped - kLongestTable) return nullptr;
  const auto* table = reinterpret_cast<const TableHeader*>(address);
  const bool sound = table->length >= sizeof(TableHeader) && table->length <= kLongestTable && sums_to_zero(table, table->length);
  return sound ? table : nullptr;
}

const TableHeader* find_table(const RootPointer& root) noexcept {
  const bool wide = root.revision >= 2 && root.xsdt != 0;
  const TableHeader* list = table_at(wide ? root.xsdt : root.rsdt);
  if (list == nullptr) return nullptr;
  const auto* entries = reinterpret_cast<const std::uint8_t*>(list + 1);
  const std::size_t width = wide ? 8 : 4;
  for (std::size_t at = 0; at + width <= list->length - sizeof(TableHeader); at += width) {
    std::uint64_t address = 0;
    for (std::size_t i = 0; i < width; ++i) address |= std::uint64_t{entries[at + i]} << (8 * i);
    const TableHeader* table = table_at(address);
    if (table != nullptr && starts_with(table->signature, "APIC")) return table;
  }
  return nullptr;
}

}  // namespace

std::size_t find_processors(std::uint64_t root, std::uint32_t* apic_ids, std::size_t most) noexcept {
  const RootPointer* pointer = root != 0 && root < kMapped - sizeof(RootPointer) ? root_at(root) : nullptr;
  if (pointer == nullptr) pointer = find_root();
  const TableHeader* table = pointer == nullptr ? nullptr : find_table(*pointer);
  if (table == nullptr) return 0;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(table);
  std::size_t count = 0;
  constexpr std::size_t kEntriesAt = 44;
  for (std::size_t at = kEntriesAt; at + 2 <= table->length && count < most;) {
    const std::uint8_t type = bytes[at];
    const std::uint8_t length = bytes[at + 1];
    if (length < 2 || at + length > table->length) break;
    constexpr std::uint8_t kLocalApic = 0;   // 5.2.12.2
    constexpr std::uint8_t kLocalX2Apic = 9;  // 5.2.12.12
    constexpr std::uint8_t kEnabled = 1;
    if (type == kLocalApic && length >= 8 && (bytes[at + 4] & kEnabled)) apic_ids[count++] = bytes[at + 3];
    if (type == kLocalX2Apic && length >= 16 && (bytes[at + 8] & kEnabled)) {
      apic_ids[count++] = bytes[at + 4] | bytes[at + 5] << 8 | bytes[at + 6] << 16 | static_cast<std::uint32_t>(bytes[at + 7]) << 24;
    }
    at += length;
  }
  return count;
}

}  // namespace kernel::boot
