#include "frontend/nodes/image_kind.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

namespace ebb::frontend::nodes {
namespace {

constexpr std::uint32_t kPvhEntry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr std::uint64_t kMostNoteBytes = 64 * 1024;

template <class T>
bool read_at(std::ifstream& file, std::uint64_t offset, T& value) {
  file.seekg(static_cast<std::streamoff>(offset));
  return static_cast<bool>(file.read(reinterpret_cast<char*>(&value), sizeof value));
}

/// Whether a segment of notes holds the one that names the PVH entry. Notes and their parts stand at multiples of `align`.
bool has_pvh_entry(std::string_view notes, std::uint64_t align) {
  const auto padded = [align](std::uint64_t size) { return (size + align - 1) / align * align; };
  for (Elf64_Nhdr note; notes.size() >= sizeof note;) {
    std::memcpy(&note, notes.data(), sizeof note);
    const std::string_view name = notes.substr(sizeof note, note.n_namesz);
    if (note.n_type == kPvhEntry && name == std::string_view("Xen", 4)) return true;
    notes.remove_prefix(std::min<std::uint64_t>(notes.size(), padded(padded(sizeof note + note.n_namesz) + note.n_descsz)));
  }
  return false;
}

}  // namespace

ImageKind image_kind(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header;
  if (!read_at(file, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return ImageKind::other;
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return ImageKind::program;
  for (std::uint64_t index = 0; index < header.e_phnum; ++index) {
    Elf64_Phdr segment;
    if (!read_at(file, header.e_phoff + index * sizeof segment, segment)) break;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNoteBytes) continue;
    std::string notes(segment.p_filesz, '\0');
    file.seekg(static_cast<std::streamoff>(segment.p_offset));
    if (!file.read(notes.data(), static_cast<std::streamsize>(notes.size()))) break;
    if (has_pvh_entry(notes, segment.p_align == 8 ? 8 : 4)) return ImageKind::bare_metal;
  }
  return ImageKind::program;
}

}  // namespace ebb::frontend::nodes
