// What a method takes and gives, seen as something that travels between nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/wire/codec.h"

namespace ebb::detail {

/// How an argument is kept while it travels and while the method runs. Views own what they look at before it travels; what
/// they look at afterwards are the bytes that came.
template <class Parameter>
struct StoredArgument {
  using type = std::remove_cvref_t<Parameter>;
};
template <>
struct StoredArgument<std::string_view> {
  using type = wire::Text;
};
template <class T>
  requires wire::travels<T> && (!std::is_same_v<T, bool>)
struct StoredArgument<std::span<const T>> {
  using type = wire::Sequence<T>;
};

/// False of what carries others that do not travel, where that is known only now: streams (stream.h).
template <class T>
inline constexpr bool kContentsTravel = true;

/// A parameter that a caller elsewhere can fill: by value, or a constant or rvalue reference to what travels.
template <class Parameter>
inline constexpr bool kParameterTravels =
    wire::travels<typename StoredArgument<Parameter>::type> && kContentsTravel<std::remove_cvref_t<Parameter>> &&
    !(std::is_lvalue_reference_v<Parameter> && !std::is_const_v<std::remove_reference_t<Parameter>>);

/// What a caller gets: the value of a task, the value of a Result, without references.
template <class Return>
struct Unwrapped {
  using type = std::remove_cvref_t<Return>;
};
template <class T>
struct Unwrapped<task<T>> : Unwrapped<T> {};
template <class T>
struct Unwrapped<Result<T>> {
  using type = T;
};

template <class R>
inline constexpr bool kResultTravels = std::is_void_v<R>;
template <class R>
  requires(!std::is_void_v<R>)
inline constexpr bool kResultTravels<R> = wire::travels<R> && kContentsTravel<R>;

/// Exist to be named in a compiler's message: the position of an argument, from 1, and its type.
template <std::size_t Position, class Parameter>
struct ArgumentTravels {
  static_assert(kParameterTravels<Parameter>,
                "this argument of a method cannot travel between nodes (ArgumentTravels<position, type>): only values with a "
                "wire::Codec can: numbers of fixed width, strings, containers, plain structs, classes with listed fields");
  static constexpr bool value = true;
};
template <class R>
struct ResultTravels {
  static_assert(kResultTravels<R>,
                "the result of a method cannot travel between nodes (ResultTravels<type>): return a value that owns what it "
                "holds, such as a number, a string, a container, a plain struct");
  static constexpr bool value = true;
};

template <std::size_t Position, class Argument, class Parameter>
struct ArgumentConverts {
  static_assert(std::is_convertible_v<Argument, std::remove_cvref_t<Parameter>>,
                "this argument of a call does not convert to what the method takes (ArgumentConverts<position, type, parameter>)");
  static constexpr bool value = true;
};

template <bool Const, class Class, class Return, class... Parameters>
struct MethodShape {
  static constexpr bool kConst = Const;
  static constexpr bool kTakesContext = false;
  using class_type = Class;
  using return_type = Return;
  using result = typename Unwrapped<Return>::type;
  using stored = std::tuple<typename StoredArgument<Parameters>::type...>;
  /// How arguments of a call within the node are kept until the method has ended, since its caller may go on before. What could
  /// not travel is kept as it came.
  template <class... Arguments>
  using kept = std::tuple<std::conditional_t<kParameterTravels<Parameters>, typename StoredArgument<Parameters>::type,
                                             std::decay_t<Arguments>>...>;
  /// The method looks at the bytes of its call: they must stay until it has ended.
  static constexpr bool kViews = (wire::detail::kIsView<typename StoredArgument<Parameters>::type> || ...);
  static constexpr bool kTravels = (kParameterTravels<Parameters> && ...) && kResultTravels<result>;
  /// Does not compile where kTravels is false, and says which argument is why.
  static consteval bool must_travel() noexcept {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (ArgumentTravels<I + 1, Parameters>::value && ... && ResultTravels<result>::value);
    }(std::index_sequence_for<Parameters...>());
  }
  /// Does not compile for what the method itself could not be called with, and says so. Of what stays on its node as it came the
  /// compiler says the rest.
  template <class... Arguments>
  static consteval bool must_take() noexcept {
    static_assert(sizeof...(Arguments) == sizeof...(Parameters), "a call has more or fewer arguments than its method takes");
    if constexpr (sizeof...(Arguments) == sizeof...(Parameters)) {
      return []<std::size_t... I>(std::index_sequence<I...>) {
        return ((!kParameterTravels<Parameters> || ArgumentConverts<I + 1, Arguments, Parameters>::value) && ...);
      }(std::index_sequence_for<Parameters...>());
    }
    return true;
  }
  /// Arguments of a call, as they are kept.
  template <class... Arguments>
  static stored store(Arguments&&... arguments) {
    static_assert(must_take<Arguments...>());
    return stored(std::forward<Arguments>(arguments)...);
  }
  /// "(u64,string)list<byte>" added to a hash.
  static constexpr std::uint64_t add_name(std::uint64_t hash) noexcept {
    hash = fnv1a("(", hash);
    if constexpr (kTravels) {
      ((hash = fnv1a(",", wire::Codec<typename StoredArgument<Parameters>::type>::name(hash))), ...);
      hash = fnv1a(")", hash);
      if constexpr (!std::is_void_v<result>) hash = wire::Codec<result>::name(hash);
    }
    return hash;
  }
};

/// The same with a first parameter that the runtime fills in: no argument, and no part of the name.
template <bool Const, class Class, class Return, class... Parameters>
struct MethodWithContext : MethodShape<Const, Class, Return, Parameters...> {
  static constexpr bool kTakesContext = true;
};
template <bool Const, class Class, class Return, class... Parameters>
struct ShapeOf {
  using type = MethodShape<Const, Class, Return, Parameters...>;
};
template <bool Const, class Class, class Return, class... Parameters>
struct ShapeOf<Const, Class, Return, const call_context&, Parameters...> {
  using type = MethodWithContext<Const, Class, Return, Parameters...>;
};

/// Of member functions that an interface may list: it calls them on an object that stays, and nobody else may look at.
template <class Member>
struct Signature {
  static_assert(std::is_void_v<Member>, "this is no method of an interface (Signature<type>): it must be a member function of the "
                                        "class that is not static, and not qualified with &, && or volatile");
};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...)> : ShapeOf<false, C, R, A...>::type {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) const> : ShapeOf<true, C, R, A...>::type {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) noexcept> : ShapeOf<false, C, R, A...>::type {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) const noexcept> : ShapeOf<true, C, R, A...>::type {};

template <auto Member>
using SignatureOf = Signature<decltype(Member)>;

/// Runs a method with the context of its call, if it takes one. The context must stay until the method has ended.
template <auto Member, class T, class... Arguments>
decltype(auto) invoke_method(const call_context& context, T& object, Arguments&&... arguments) {
  if constexpr (SignatureOf<Member>::kTakesContext) {
    return std::invoke(Member, object, context, std::forward<Arguments>(arguments)...);
  } else {
    return std::invoke(Member, object, std::forward<Arguments>(arguments)...);
  }
}

}  // namespace ebb::detail
