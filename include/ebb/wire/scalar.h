// What it takes to travel between nodes, and the types that travel as one thing: numbers, enums, texts, ids, times.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

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
  requires std::is_enum_v<T> && requires { T{std::underlying_type_t<T>{}}; } && travels<std::underlying_type_t<T>>
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
    const auto run = reader.view(reader.count(1, 1));
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

/// "/" and a number above 0 in decimal digits.
constexpr std::uint64_t add_number(std::intmax_t number, std::uint64_t hash) noexcept {
  hash = fnv1a("/", hash);
  std::intmax_t place = 1;
  while (number / place >= 10) place *= 10;
  for (; place != 0; place /= 10) {
    const char digit = static_cast<char>('0' + number / place % 10);
    hash = fnv1a({&digit, 1}, hash);
  }
  return hash;
}

/// The count; the period, in seconds as a fraction in lowest terms, is part of the name.
template <travels Rep, class Period>
struct Codec<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static constexpr std::size_t kLeastBytes = Codec<Rep>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    return add_number(Period::den, add_number(Period::num, add_names<Rep>("duration", hash)));
  }
  static void write(Writer& writer, Duration value) { Codec<Rep>::write(writer, value.count()); }
  static Duration read(Reader& reader) { return Duration(Codec<Rep>::read(reader)); }
};

/// A moment of the calendar's time, as what has passed since 1970 (UTC, without leap seconds). Of other clocks none does: what a
/// steady clock counts from is each machine's own.
template <travels Duration>
struct Codec<std::chrono::time_point<std::chrono::system_clock, Duration>> {
  using Moment = std::chrono::time_point<std::chrono::system_clock, Duration>;
  static constexpr std::size_t kLeastBytes = Codec<Duration>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return add_names<Duration>("moment", hash); }
  static void write(Writer& writer, Moment value) { Codec<Duration>::write(writer, value.time_since_epoch()); }
  static Moment read(Reader& reader) { return Moment(Codec<Duration>::read(reader)); }
};

}  // namespace ebb::wire
