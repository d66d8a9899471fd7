// Which C++ types travel between nodes, how, and under what name. docs/protocol.md, "Arguments", is the specification.
//
// The name is part of a method's id: two programs whose argument types differ do not understand each other by accident.
// It is written here by hand, never taken from the compiler, so gcc and clang agree.
#pragma once

#include <array>
#include <boost/pfr.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ebb/base/hash.h"
#include "ebb/base/ids.h"
#include "ebb/wire/buffer.h"

namespace ebb::wire {

/// How T travels. A specialization has:
///   static constexpr std::size_t kLeastBytes       the shortest encoding, above 0
///   static constexpr std::uint64_t name(hash)      the type's name, added to a hash
///   static void write(Writer&, const T&)
///   static T read(Reader&)                         any value after a failure
template <class T>
struct Codec;

/// T travels by value. References, pointers, and types whose width or layout two compilers may disagree about do not.
template <class T>
concept travels = requires(Writer& writer, Reader& reader, const T& value) {
  { Codec<T>::kLeastBytes } -> std::convertible_to<std::size_t>;
  Codec<T>::write(writer, value);
  { Codec<T>::read(reader) } -> std::same_as<T>;
};


/// "open<" + names of T... separated by "," + ">"
template <class... T>
constexpr std::uint64_t add_names(std::string_view open, std::uint64_t hash) noexcept {
  hash = fnv1a(open, hash);
  hash = fnv1a("<", hash);
  ((hash = fnv1a(",", Codec<T>::name(hash))), ...);
  return fnv1a(">", hash);
}

template <>
struct Codec<bool> {
  static constexpr std::size_t kLeastBytes = 1;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return fnv1a("bool", hash); }
  static void write(Writer& writer, bool value) { writer.number(static_cast<std::uint8_t>(value)); }
  static bool read(Reader& reader) {
    const auto value = reader.number<std::uint8_t>();
    if (value > 1) reader.fail();
    return value == 1;
  }
};

/// Numbers go by their width and sign: std::int64_t is long here and long long elsewhere, and both are i64. char has a
/// name of its own, wchar_t and long double do not travel.
template <plain_number T>
  requires(!std::is_same_v<T, wchar_t>)
struct Codec<T> {
  static constexpr std::size_t kLeastBytes = sizeof(T);
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    if (std::is_same_v<T, char>) return fnv1a("char", hash);
    hash = fnv1a(std::is_floating_point_v<T> ? "f" : std::is_signed_v<T> ? "i" : "u", hash);
    return fnv1a(sizeof(T) == 1 ? "8" : sizeof(T) == 2 ? "16" : sizeof(T) == 4 ? "32" : "64", hash);
  }
  static void write(Writer& writer, T value) { writer.number(value); }
  static T read(Reader& reader) { return reader.number<T>(); }
};

template <>
struct Codec<std::byte> {
  static constexpr std::size_t kLeastBytes = 1;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return fnv1a("byte", hash); }
  static void write(Writer& writer, std::byte value) { writer.number(static_cast<std::uint8_t>(value)); }
  static std::byte read(Reader& reader) { return std::byte{reader.number<std::uint8_t>()}; }
};

/// An enum class, or an enum with an underlying type (only those may be list-initialized from a number). Its values are
/// not checked: a peer may send one that has no name.
template <class T>
  requires std::is_enum_v<T> && requires { T{std::underlying_type_t<T>{}}; }
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  static constexpr std::size_t kLeastBytes = Codec<Number>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<Number>("enum", hash); }
  static void write(Writer& writer, T value) { Codec<Number>::write(writer, static_cast<Number>(value)); }
  static T read(Reader& reader) { return T{Codec<Number>::read(reader)}; }
};

template <>
struct Codec<std::string> {
  static constexpr std::size_t kLeastBytes = 4;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return fnv1a("string", hash); }
  static void write(Writer& writer, std::string_view value) {
    writer.count(value.size());
    writer.raw(value.data(), value.size());
  }
  static std::string read(Reader& reader) {
    const auto run = reader.view(reader.count(1));
    return std::string(reinterpret_cast<const char*>(run.data()), run.size());
  }
};

template <>
struct Codec<ObjectId> {
  static constexpr std::size_t kLeastBytes = 4;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return fnv1a("object", hash); }
  static void write(Writer& writer, ObjectId id) { writer.number(id.index()); }
  // Tables are indexed by it: one that lies outside of them never gets in.
  static ObjectId read(Reader& reader) {
    const ObjectId id(reader.number<std::uint32_t>());
    if (id.index() < kMaxObjects) return id;
    reader.fail();
    return {};
  }
};

template <travels Rep, class Period>
struct Codec<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static constexpr std::size_t kLeastBytes = Codec<Rep>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    hash = add_names<Rep>("duration", hash);
    for (std::intmax_t part : {Period::num, Period::den}) {
      for (hash = fnv1a("/", hash); part != 0; part /= 10) {  // digits, last first: a name, not a text
        const char digit = static_cast<char>('0' + part % 10);
        hash = fnv1a({&digit, 1}, hash);
      }
    }
    return hash;
  }
  static void write(Writer& writer, Duration value) { Codec<Rep>::write(writer, value.count()); }
  static Duration read(Reader& reader) { return Duration(Codec<Rep>::read(reader)); }
};

template <travels T>
struct Codec<std::vector<T>> {
  static constexpr std::size_t kLeastBytes = 4;
  static constexpr bool kAsItLies = plain_number<T> || std::is_same_v<T, std::byte>;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<T>("list", hash); }
  static void write(Writer& writer, const std::vector<T>& values) {
    writer.count(values.size());
    if constexpr (kAsItLies) {
      writer.raw(values.data(), values.size() * sizeof(T));
    } else {
      for (const T& value : values) Codec<T>::write(writer, value);
    }
  }
  static std::vector<T> read(Reader& reader) {
    const std::size_t count = reader.count(Codec<T>::kLeastBytes);
    std::vector<T> values;
    if constexpr (kAsItLies) {
      values.resize(count);
      reader.raw(values.data(), count * sizeof(T));
    } else {
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
    std::array<T, Size> values{};
    for (T& value : values) value = Codec<T>::read(reader);
    return values;
  }
};

template <travels T>
struct Codec<std::optional<T>> {
  static constexpr std::size_t kLeastBytes = 1;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<T>("optional", hash); }
  static void write(Writer& writer, const std::optional<T>& value) {
    Codec<bool>::write(writer, value.has_value());
    if (value) Codec<T>::write(writer, *value);
  }
  static std::optional<T> read(Reader& reader) {
    if (!Codec<bool>::read(reader)) return std::nullopt;
    return Codec<T>::read(reader);
  }
};

template <travels First, travels Second>
struct Codec<std::pair<First, Second>> {
  static constexpr std::size_t kLeastBytes = Codec<First>::kLeastBytes + Codec<Second>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<First, Second>("tuple", hash); }
  static void write(Writer& writer, const std::pair<First, Second>& value) {
    Codec<First>::write(writer, value.first);
    Codec<Second>::write(writer, value.second);
  }
  static std::pair<First, Second> read(Reader& reader) {
    First first = Codec<First>::read(reader);
    return {std::move(first), Codec<Second>::read(reader)};
  }
};

template <travels... T>
  requires(sizeof...(T) > 0)
struct Codec<std::tuple<T...>> {
  static constexpr std::size_t kLeastBytes = (Codec<T>::kLeastBytes + ...);
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<T...>("tuple", hash); }
  static void write(Writer& writer, const std::tuple<T...>& value) {
    std::apply([&writer](const T&... each) { (Codec<T>::write(writer, each), ...); }, value);
  }
  // The braces make the order of the reads that of the elements.
  static std::tuple<T...> read(Reader& reader) { return std::tuple<T...>{Codec<T>::read(reader)...}; }
};

namespace detail {

template <class>
inline constexpr bool kIsSet = false;
template <class... T>
inline constexpr bool kIsSet<std::set<T...>> = true;
template <class... T>
inline constexpr bool kIsSet<std::unordered_set<T...>> = true;
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

/// Sets are lists, and maps are lists of pairs, in the order of their iteration. A key that comes twice is an error.
template <class T>
  requires(detail::kIsSet<T> || detail::kIsMap<T>) && travels<typename detail::ElementOf<T>::type>
struct Codec<T> {
  using Element = typename detail::ElementOf<T>::type;
  static constexpr std::size_t kLeastBytes = 4;
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
    const std::size_t count = reader.count(Codec<Element>::kLeastBytes);
    for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
      // Sorted containers come sorted: the hint makes each insertion constant time.
      values.insert(values.end(), Codec<Element>::read(reader));
      if (values.size() != i + 1) reader.fail();
    }
    return values;
  }
};

namespace detail {

template <class T>
consteval bool fields_travel() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return (travels<std::remove_cv_t<boost::pfr::tuple_element_t<I, T>>> && ...);
  }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>());
}

template <class>
inline constexpr bool kIsArray = false;
template <class T, std::size_t Size>
inline constexpr bool kIsArray<std::array<T, Size>> = true;

template <class T>
concept plain_struct = std::is_aggregate_v<T> && std::is_class_v<T> && std::is_default_constructible_v<T> &&
                       !kIsArray<T> && !std::is_empty_v<T> && !std::is_polymorphic_v<T>;

}  // namespace detail

/// A struct without constructors, bases or private members whose fields all travel, in the order of the fields. Its own
/// name is no part of the type's name: fields decide.
template <detail::plain_struct T>
  requires(detail::fields_travel<T>())
struct Codec<T> {
  static constexpr std::size_t kLeastBytes = []<std::size_t... I>(std::index_sequence<I...>) {
    return (Codec<boost::pfr::tuple_element_t<I, T>>::kLeastBytes + ...);
  }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>());
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    return [hash]<std::size_t... I>(std::index_sequence<I...>) {
      return add_names<boost::pfr::tuple_element_t<I, T>...>("struct", hash);
    }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>());
  }
  static void write(Writer& writer, const T& value) {
    boost::pfr::for_each_field(value, [&writer](const auto& field) {
      Codec<std::remove_cvref_t<decltype(field)>>::write(writer, field);
    });
  }
  static T read(Reader& reader) {
    T value{};
    boost::pfr::for_each_field(value, [&reader](auto& field) {
      field = Codec<std::remove_cvref_t<decltype(field)>>::read(reader);
    });
    return value;
  }
};

/// The bytes of one value.
template <travels T>
std::vector<std::byte> encode(const T& value) {
  Writer writer;
  Codec<T>::write(writer, value);
  return std::move(writer).take();
}

/// The value whose bytes these are, all of them; nullopt for anything else.
template <travels T>
std::optional<T> decode(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  T value = Codec<T>::read(reader);
  if (!reader.finished()) return std::nullopt;
  return value;
}

}  // namespace ebb::wire
