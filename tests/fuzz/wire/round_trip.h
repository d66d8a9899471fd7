// What decodes must encode again to the same bytes, as far as they have one form, and take no more memory than it may.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <optional>
#include <span>

#include "ebb/wire/codec.h"
#include "tests/fuzz/wire/memory.h"

namespace ebb::wire::fuzz {

/// The order of what T holds is not its own.
template <class T>
inline constexpr bool kHashes = detail::hashed<T>;

template <class T>
std::optional<T> decode_within_bounds(std::span<const std::byte> bytes) {
  const AllocatedBytes allocated;
  auto decoded = decode<T>(bytes);
  allocated.check(bytes.size());
  return decoded;
}

/// Ends the program where it does not.
template <class T>
void check_round_trip(std::span<const std::byte> bytes) {
  const auto decoded = decode_within_bounds<T>(bytes);
  if (!decoded) return;
  const auto encoded = encode(*decoded);
  // Sets and maps come back sorted, in whatever order they came, and hashed ones in any; the length stays.
  if (encoded.size() != bytes.size()) std::abort();
  const auto again = decode<T>(encoded);
  if (!again || encode(*again).size() != encoded.size()) std::abort();
  if (!kHashes<T> && encode(*again) != encoded) std::abort();
}

}  // namespace ebb::wire::fuzz
