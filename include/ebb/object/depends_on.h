// What objects of a type use until their very end.
#pragma once

#include <array>
#include <cstdint>

namespace ebb {

/// Named by a type whose objects call those of other types also while they end, though some of these were created after them:
/// `using depends_on = ebb::depends_on<Store, Log>;`. When an application ends, or a node leaves, all objects of the type end
/// before any of those it depends on; within that the newest first, which serves whoever only uses what is older
/// (docs/objects.md, "The end"). Objects of types that depend on each other in a circle end by age among themselves, and the
/// log says so.
template <class... Types>
struct depends_on {
  /// The ids of the types' interfaces.
  static constexpr std::array<std::uint64_t, sizeof...(Types)> interfaces() noexcept { return {{Types::interface::id...}}; }
};

}  // namespace ebb
