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

/// Spreads a number over 64 bits: near numbers come out far from each other. The finalizer of splitmix64 [Steele, Lea, Flood:
/// Fast splittable pseudorandom number generators, 2014].
constexpr std::uint64_t mix64(std::uint64_t value) noexcept {
  value ^= value >> 30;
  value *= 0xbf58'476d'1ce4'e5b9;
  value ^= value >> 27;
  value *= 0x94d0'49bb'1331'11eb;
  return value ^ value >> 31;
}

}  // namespace ebb
