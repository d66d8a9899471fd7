// How things made of parts travel: their parts in order. Pairs, tuples, plain structs, classes with listed fields.
#pragma once

#include <boost/pfr.hpp>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/wire/plain_struct.h"
#include "ebb/wire/scalar.h"

namespace ebb {

/// The fields of a class that travel, in the order in which they do. For classes with constructors, private members, bases, or
/// fields that stay behind: `using fields = ebb::fields<&S::a, &S::b>;` in its public part. The class must be default-
/// constructible; what is not listed keeps the value that the default constructor gives it. A derived class with members of its
/// own lists anew: the list that it inherits would leave them behind.
template <auto... Members>
struct fields {};

}  // namespace ebb

namespace ebb::wire {

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

/// A field can be read, and then be written to. One that mentions its struct would have a name without an end.
template <class T, class Field>
concept field_travels = !std::is_const_v<Field> && !std::is_volatile_v<Field> && !kMentions<T, Field> && travels<Field>;

template <class T>
consteval bool fields_travel() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return (field_travels<T, boost::pfr::tuple_element_t<I, T>> && ...);
  }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>());
}

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

namespace detail {

template <class>
struct FieldType;
template <class Class, class Field>
struct FieldType<Field Class::*> {
  using type = Field;
  using owner = Class;
};
/// The list may be that of a base, to which T adds what would stay behind.
template <class T, auto Member>
inline constexpr bool kLeavesNothing =
    std::is_same_v<typename FieldType<decltype(Member)>::owner, T> || sizeof(typename FieldType<decltype(Member)>::owner) == sizeof(T);

template <class T, class List>
inline constexpr bool kListed = false;
template <class T, auto... Members>
inline constexpr bool kListed<T, fields<Members...>> =
    (kLeavesNothing<T, Members> || ...) && (field_travels<T, typename FieldType<decltype(Members)>::type> && ...);

/// The codec of a class that lists its fields.
template <class T, class List>
struct ListedCodec;
template <class T, auto... Members>
struct ListedCodec<T, fields<Members...>> {
  template <auto Member>
  using FieldCodec = Codec<typename FieldType<decltype(Member)>::type>;
  static constexpr std::size_t kLeastBytes = (FieldCodec<Members>::kLeastBytes + ...);
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept {
    return add_names<typename FieldType<decltype(Members)>::type...>("struct", hash);
  }
  static void write(Writer& writer, const T& value) { (FieldCodec<Members>::write(writer, value.*Members), ...); }
  static T read(Reader& reader) {
    T value{};
    ((value.*Members = FieldCodec<Members>::read(reader)), ...);
    return value;
  }
};

}  // namespace detail

/// A class that lists its fields. On the wire it is the plain struct of those fields.
template <class T>
  requires detail::lists_fields<T> && std::is_default_constructible_v<T> && detail::kListed<T, typename T::fields>
struct Codec<T> : detail::ListedCodec<T, typename T::fields> {};

}  // namespace ebb::wire
