// The hash that names on the wire go by.
#pragma once

#include <cstdint>
#include <string_view>

namespace ebb {

inline constexpr std::uint64_t kFnvOffset = 0xcbf2'9ce4'8422'2325;

/// FNV-1a, 64 bits (draft-eastlake-fnv): `text` added to `hash`.
constexpr std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kFnvOffset) noexcept {
  for (const char character : text) {
    hash ^= static_cast<unsigned char>(character);
    hash *= 0x100'0000'01b3;
  }
  return hash;
}

}  // namespace ebb
