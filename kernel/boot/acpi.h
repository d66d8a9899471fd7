// The one thing wanted of ACPI: which processors there are (ACPI 6.5, 5.2.12, Multiple APIC Description Table).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::boot {

/// APIC ids of the usable processors, in the table's order, at most `most`; how many. 0 if there are no (sound) tables:
/// then the processor that runs this is all there is. `root` is the RSDP's address, 0 to look for it below 1 MiB. Reads
/// memory through the boot tables' identity map, so only tables below 4 GiB are found.
std::size_t find_processors(std::uint64_t root, std::uint32_t* apic_ids, std::size_t most) noexcept;

}  // namespace kernel::boot
