// How a header describes an object to the rest of the cluster: a name with a version, and named methods.
//
// Names are written by hand, so they are the same whatever compiler reads them; nothing here looks at a mangled or
// pretty-printed name.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ebb {

namespace detail {

/// A string literal as a template argument.
template <std::size_t Size>
struct FixedString {
  char characters[Size]{};
  consteval FixedString(const char (&text)[Size]) noexcept {  // NOLINT: implicit on purpose
    std::copy_n(text, Size, characters);
  }
  constexpr std::string_view view() const noexcept { return {characters, Size - 1}; }
};

inline constexpr std::uint64_t kFnvOffset = 0xcbf2'9ce4'8422'2325;

/// FNV-1a, 64 bits (draft-eastlake-fnv): `text` added to `hash`.
constexpr std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kFnvOffset) noexcept {
  for (const char character : text) {
    hash ^= static_cast<unsigned char>(character);
    hash *= 0x100'0000'01b3;
  }
  return hash;
}

/// The same member function, asked of any type: false where the types differ.
template <auto Left, auto Right>
inline constexpr bool kSameMember = false;
template <auto Member>
inline constexpr bool kSameMember<Member, Member> = true;

}  // namespace detail

/// A method of an interface: the name it goes by between nodes, and the member function that carries it out.
template <detail::FixedString Name, auto Member>
struct method {
  static constexpr std::string_view name = Name.view();
  static constexpr auto member = Member;
};

/// An object's interface: a name that ends in "/version", and its methods. Two methods of the same name, or whose ids
/// collide, do not compile.
template <detail::FixedString Name, class... Methods>
struct interface {
  static constexpr std::string_view name = Name.view();
  static constexpr std::uint64_t id = detail::fnv1a(name);
  static constexpr std::size_t method_count = sizeof...(Methods);

  /// The id of the method that `Member` carries out; a member that the interface does not list does not compile.
  template <auto Member>
  static constexpr std::uint64_t method_id() noexcept {
    static_assert((detail::kSameMember<Methods::member, Member> || ...),
                  "this member function is not a method of the object's interface");
    std::uint64_t found = 0;
    ((detail::kSameMember<Methods::member, Member> ? void(found = id_of(Methods::name)) : void()), ...);
    return found;
  }

 private:
  static constexpr std::uint64_t id_of(std::string_view method_name) noexcept {
    return detail::fnv1a(method_name, detail::fnv1a("#", id));
  }
  static consteval bool ids_differ() noexcept {
    std::array<std::uint64_t, sizeof...(Methods) + 1> ids{id_of(Methods::name)...};
    std::sort(ids.begin(), ids.end() - 1);
    return std::adjacent_find(ids.begin(), ids.end() - 1) == ids.end() - 1;
  }
  static consteval bool name_has_version() noexcept {
    // Not string_view::find: under UBSan gcc 12 does not take its null checks for constant here.
    bool found = false;
    for (const char character : Name.characters) found = found || character == '/';
    return found;
  }
  static_assert(name_has_version(),
                "an interface's name carries its version, as in \"demo.Counter/1\"");
  static_assert(ids_differ(), "two methods of this interface have the same name, or ids that collide: rename one");
};

}  // namespace ebb
