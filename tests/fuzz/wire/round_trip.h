// What decodes must encode again to the same bytes, as far as they have one form.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <span>

#include "ebb/wire/codec.h"

namespace ebb::wire::fuzz {

/// Ends the program where it does not.
template <class T>
void check_round_trip(std::span<const std::byte> bytes) {
  const auto decoded = decode<T>(bytes);
  if (!decoded) return;
  const auto encoded = encode(*decoded);
  // Sets and maps come back sorted, in whatever order they came; the length stays.
  if (encoded.size() != bytes.size()) std::abort();
  if (encode(*decode<T>(encoded)) != encoded) std::abort();
}

}  // namespace ebb::wire::fuzz
