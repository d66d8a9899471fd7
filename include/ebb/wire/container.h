// How containers travel: a count, then their elements.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ebb/wire/scalar.h"
#include "ebb/wire/structure.h"

namespace ebb::wire {

template <travels T>
struct Codec<std::vector<T>> {
  static constexpr std::size_t kLeastBytes = 4;
  static constexpr bool kAsItLies = plain_number<T> || std::is_same_v<T, std::byte>;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<T>("list", hash); }
  static void write(Writer& writer, const std::vector<T>& values) { write_run(writer, values); }
  /// The same of anything that has a size and elements in a row.
  template <class Run>
  static void write_run(Writer& writer, const Run& values) {
    writer.count(values.size());
    if constexpr (kAsItLies) {
      writer.raw(values.data(), values.size() * sizeof(T));
    } else {
      for (const T& value : values) Codec<T>::write(writer, value);
    }
  }
  static std::vector<T> read(Reader& reader) {
    const std::size_t count = reader.count(Codec<T>::kLeastBytes, sizeof(T));
    std::vector<T> values;
    if constexpr (kAsItLies) {
      values.resize(count);
      reader.raw(values.data(), count * sizeof(T));
    } else {
      values.reserve(count);
      for (std::size_t i = 0; i < count && !reader.failed(); ++i) values.push_back(Codec<T>::read(reader));
    }
    return values;
  }
};

template <travels T, std::size_t Size>
  requires(Size > 0)
struct Codec<std::array<T, Size>> {
  static constexpr std::size_t kLeastBytes = Size * Codec<T>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    hash = fnv1a("array<", hash);
    for (std::size_t i = 0; i < Size; ++i) hash = fnv1a(",", Codec<T>::name(hash));
    return fnv1a(">", hash);
  }
  static void write(Writer& writer, const std::array<T, Size>& values) {
    for (const T& value : values) Codec<T>::write(writer, value);
  }
  static std::array<T, Size> read(Reader& reader) {
    if constexpr (std::is_default_constructible_v<T>) {
      std::array<T, Size> values{};
      for (T& value : values) value = Codec<T>::read(reader);
      return values;
    } else {
      // The braces make the order of the reads that of the elements.
      return [&reader]<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<T, Size>{(static_cast<void>(I), Codec<T>::read(reader))...};
      }(std::make_index_sequence<Size>());
    }
  }
};

namespace detail {

template <class>
inline constexpr bool kIsSet = false;
template <class... T>
inline constexpr bool kIsSet<std::set<T...>> = true;
template <class... T>
inline constexpr bool kIsSet<std::unordered_set<T...>> = true;
template <class T>
concept hashed = requires(const T& values) { values.bucket_count(); };
template <class>
inline constexpr bool kIsMap = false;
template <class... T>
inline constexpr bool kIsMap<std::map<T...>> = true;
template <class... T>
inline constexpr bool kIsMap<std::unordered_map<T...>> = true;

template <class T>
struct ElementOf {
  using type = typename T::key_type;
};
template <class T>
  requires kIsMap<T>
struct ElementOf<T> {
  using type = std::pair<typename T::key_type, typename T::mapped_type>;
};

}  // namespace detail

/// Sets are lists, and maps are lists of pairs, in the order of their iteration. A key that comes twice is an error. So are
/// keys of which too many have one place in a table of hashes: std::hash of a number is that number, and a peer that chooses them
/// would make each insertion walk through all those before it.
template <class T>
  requires(detail::kIsSet<T> || detail::kIsMap<T>) && travels<typename detail::ElementOf<T>::type>
struct Codec<T> {
  using Element = typename detail::ElementOf<T>::type;
  static constexpr std::size_t kLeastBytes = 4;
  /// Keys in one place of a table. Among a million keys that nobody chose ten are seldom.
  static constexpr std::size_t kMostInOnePlace = 64;
  /// A node of a tree has four words beside its element; one of a table two, and up to two of the table's own.
  static constexpr std::size_t kNodeBytes = sizeof(typename T::value_type) + 4 * sizeof(void*);
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    return add_names<Element>(detail::kIsSet<T> ? "set" : "map", hash);
  }
  static void write(Writer& writer, const T& values) {
    writer.count(values.size());
    for (const auto& value : values) {
      if constexpr (detail::kIsSet<T>) {
        Codec<Element>::write(writer, value);
      } else {
        Codec<typename T::key_type>::write(writer, value.first);
        Codec<typename T::mapped_type>::write(writer, value.second);
      }
    }
  }
  static T read(Reader& reader) {
    T values;
    const std::size_t count = reader.count(Codec<Element>::kLeastBytes, kNodeBytes);
    if constexpr (detail::hashed<T>) values.reserve(count);
    for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
      // Sorted containers come sorted: the hint makes each insertion constant time.
      [[maybe_unused]] const auto place = values.insert(values.end(), Codec<Element>::read(reader));
      if (values.size() != i + 1) reader.fail();
      if constexpr (detail::hashed<T>) {
        if (crowded(values, place)) reader.fail();
      }
    }
    return values;
  }

 private:
  static bool crowded(const T& values, typename T::const_iterator place) {
    if constexpr (detail::kIsSet<T>) {
      return values.bucket_size(values.bucket(*place)) > kMostInOnePlace;
    } else {
      return values.bucket_size(values.bucket(place->first)) > kMostInOnePlace;
    }
  }
};

}  // namespace ebb::wire
