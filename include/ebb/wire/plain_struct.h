// Which structs Boost.PFR can take apart. It stops the compiler, in words of its own, at those that it cannot; asked first,
// they are types that do not travel, like any other. Of bit-fields nothing can be asked: with them it is PFR that complains.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace ebb::wire::detail {

/// Stands for a field's value where a struct is initialized: anything but a union.
struct AnyField {
  template <class Field>
    requires(!std::is_union_v<Field>)
  operator Field() const noexcept;  // never called
};

/// Stands for a base's value.
template <class T>
struct AnyBase {
  template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
  operator Base() const noexcept;  // never called
};

template <std::size_t>
using AnyFieldAt = AnyField;

/// T{a, b, ...} with so many values. Braces may be left out: an array takes as many of them as it has elements.
template <class T, class Index>
inline constexpr bool kInBraces = false;
template <class T, std::size_t... I>
inline constexpr bool kInBraces<T, std::index_sequence<I...>> = requires { T{AnyFieldAt<I>{}...}; };

/// T(a, b, ...): one value for each field.
template <class T, class Index>
inline constexpr bool kInParentheses = false;
template <class T, std::size_t... I>
inline constexpr bool kInParentheses<T, std::index_sequence<I...>> = requires { T(AnyFieldAt<I>{}...); };

/// An array, or an anonymous union, takes more or other values in braces than in parentheses.
template <class T, std::size_t Values = 1>
consteval bool has_array_or_union() {
#ifdef __cpp_aggregate_paren_init
  using Index = std::make_index_sequence<Values>;
  if constexpr (kInBraces<T, Index> != kInParentheses<T, Index>) {
    return true;
  } else if constexpr (kInBraces<T, Index>) {
    return has_array_or_union<T, Values + 1>();
  }
#endif
  return false;
}

template <class T>
concept has_base = requires { T{AnyBase<T>{}}; };

/// T is Part, or a template of types one of which mentions Part.
template <class Part, class T>
inline constexpr bool kMentions = std::is_same_v<Part, T>;
template <class Part, template <class...> class Template, class... T>
inline constexpr bool kMentions<Part, Template<T...>> = std::is_same_v<Part, Template<T...>> || (kMentions<Part, T> || ...);
template <class Part, class T, std::size_t Size>
inline constexpr bool kMentions<Part, std::array<T, Size>> = kMentions<Part, T>;

template <class>
inline constexpr bool kIsArray = false;
template <class T, std::size_t Size>
inline constexpr bool kIsArray<std::array<T, Size>> = true;

template <class T>
concept lists_fields = requires { typename T::fields; };

/// An aggregate of fields alone.
template <class T>
concept plain_struct = std::is_aggregate_v<T> && std::is_class_v<T> && std::is_default_constructible_v<T> && !std::is_const_v<T> &&
                       !kIsArray<T> && !std::is_empty_v<T> && !std::is_polymorphic_v<T> && !lists_fields<T> && !has_base<T> &&
                       !has_array_or_union<T>();

}  // namespace ebb::wire::detail
