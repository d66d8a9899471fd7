// What a file is to a driver, by its first bytes.
#pragma once

#include <filesystem>

namespace ebb::frontend::nodes {

enum class ImageKind {
  other,       ///< a script, something unreadable, or no program at all
  program,     ///< an ELF file that Linux runs
  bare_metal,  ///< a 64-bit ELF file with a PVH entry, as ebb_add_application makes beside the program
};

ImageKind image_kind(const std::filesystem::path& file);

}  // namespace ebb::frontend::nodes
