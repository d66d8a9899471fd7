// How alternatives travel: which one it is, then its value. Optionals, variants, results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "ebb/base/result.h"
#include "ebb/wire/scalar.h"

namespace ebb::wire {

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

/// A value or an error, inside of arguments and results. (A method whose own result is a Result answers with the error.)
template <class T>
  requires std::is_void_v<T> || travels<T>
struct Codec<Result<T>> {
  static constexpr std::size_t kLeastBytes = 1;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    if constexpr (std::is_void_v<T>) {
      return fnv1a("result<>", hash);
    } else {
      return add_names<T>("result", hash);
    }
  }
  static void write(Writer& writer, const Result<T>& value) {
    Codec<bool>::write(writer, value.has_value());
    if (!value) {
      writer.number(static_cast<std::uint16_t>(value.error().code()));
      return Codec<std::string>::write(writer, value.error().text());
    }
    if constexpr (!std::is_void_v<T>) Codec<T>::write(writer, *value);
  }
  static Result<T> read(Reader& reader) {
    if (!Codec<bool>::read(reader)) {
      const auto code = reader.number<std::uint16_t>();
      if (code == 0) reader.fail();  // an error that is none
      return Error(code > kLastErrc ? Errc::internal : Errc{code}, Codec<std::string>::read(reader));
    }
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return Codec<T>::read(reader);
    }
  }

 private:
  // A code of a later version than ours is read as internal.
  static constexpr auto kLastErrc = static_cast<std::uint16_t>(Errc::already_exists);
};

namespace detail {

/// What a variant may hold: what travels, and nothing at all.
template <class T>
concept alternative = travels<T> || std::is_same_v<T, std::monostate>;

template <class T>
constexpr std::uint64_t add_alternative(std::uint64_t hash) noexcept {
  if constexpr (std::is_same_v<T, std::monostate>) {
    return fnv1a("none,", hash);
  } else {
    return fnv1a(",", Codec<T>::name(hash));
  }
}

}  // namespace detail

/// The number of the alternative, from 0, in a byte; then its value. A variant that an exception left without a value
/// does not travel: std::bad_variant_access.
template <detail::alternative... T>
  requires(sizeof...(T) > 0 && sizeof...(T) <= 256)
struct Codec<std::variant<T...>> {
  using Variant = std::variant<T...>;
  static constexpr std::size_t kLeastBytes = 1;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    hash = fnv1a("variant<", hash);
    ((hash = detail::add_alternative<T>(hash)), ...);
    return fnv1a(">", hash);
  }
  static void write(Writer& writer, const Variant& value) {
    if (value.valueless_by_exception()) throw std::bad_variant_access();
    writer.number(static_cast<std::uint8_t>(value.index()));
    std::visit(
        [&writer]<class Value>(const Value& each) {
          if constexpr (!std::is_same_v<Value, std::monostate>) Codec<Value>::write(writer, each);
        },
        value);
  }
  static Variant read(Reader& reader) {
    return read_from<0>(reader, reader.number<std::uint8_t>());
  }

 private:
  template <std::size_t Index>
  static Variant read_from(Reader& reader, std::size_t wanted) {
    using Value = std::variant_alternative_t<Index, Variant>;
    if (wanted == Index) {
      if constexpr (std::is_same_v<Value, std::monostate>) {
        return Variant(std::in_place_index<Index>);
      } else {
        return Variant(std::in_place_index<Index>, Codec<Value>::read(reader));
      }
    }
    if constexpr (Index + 1 < sizeof...(T)) {
      return read_from<Index + 1>(reader, wanted);
    } else {
      reader.fail();
      return read_from<0>(reader, 0);
    }
  }
};

}  // namespace ebb::wire
