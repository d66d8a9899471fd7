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

#include "ebb/base/hash.h"
#include "ebb/object/remote_method.h"
#include "ebb/object/signature.h"

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
  static constexpr std::uint64_t id = fnv1a(name);
  static constexpr std::size_t method_count = sizeof...(Methods);

  /// The id of the method that `Member` carries out; a member that the interface does not list does not compile.
  template <auto Member>
  static constexpr std::uint64_t method_id() noexcept {
    static_assert((detail::kSameMember<Methods::member, Member> || ...),
                  "this member function is not a method of the object's interface");
    std::uint64_t found = 0;
    ((detail::kSameMember<Methods::member, Member> ? void(found = id_of<Methods>()) : void()), ...);
    return found;
  }

  /// The name of the method that `Member`, which is one of the interface's, carries out.
  template <auto Member>
  static constexpr std::string_view method_name() noexcept {
    std::string_view found;
    ((detail::kSameMember<Methods::member, Member> ? void(found = Methods::name) : void()), ...);
    return found;
  }

  /// What other nodes may call on a T.
  template <class T>
  static constexpr auto remote_methods() noexcept {
    // Not in the class: methods may name references to types whose interfaces are not complete yet.
    static_assert(differ({id_of<Methods>()...}), "the ids of two methods of this interface collide: rename one");
    return detail::remote_methods<T, interface, Methods...>();
  }

 private:
  // Interface, name, and the types that travel: programs that disagree about one of them do not call each other.
  template <class Method>
  static constexpr std::uint64_t id_of() noexcept {
    return detail::SignatureOf<Method::member>::add_name(fnv1a(Method::name, fnv1a("#", id)));
  }
  static consteval bool differ(std::array<std::uint64_t, sizeof...(Methods) + 1> numbers) noexcept {
    std::sort(numbers.begin(), numbers.end() - 1);
    return std::adjacent_find(numbers.begin(), numbers.end() - 1) == numbers.end() - 1;
  }
  static consteval bool name_has_version() noexcept {
    // Not string_view::find: under UBSan gcc 12 does not take its null checks for constant here.
    bool found = false;
    for (const char character : Name.characters) found = found || character == '/';
    return found;
  }
  static_assert(name_has_version(),
                "an interface's name carries its version, as in \"demo.Counter/1\"");
  static_assert(differ({fnv1a(Methods::name)...}), "two methods of this interface have the same name: rename one");
};

}  // namespace ebb
