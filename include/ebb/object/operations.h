// Operations that fold the results of a reduction on their way: known by name on every node, so that each hands on one value.
#pragma once

#include <algorithm>
#include <concepts>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ebb {

/// An operation that every node of the same build finds by its name: a class without state, whose `operator()` takes two
/// results and gives one. It must be associative and commutative: results meet in no particular order. Names that begin with
/// "ebb." are the library's.
template <class Operation, class R>
concept named_operation = std::default_initializable<Operation> && std::is_empty_v<Operation> && requires(Operation fold, R a, R b) {
  { Operation::name } -> std::convertible_to<std::string_view>;
  { fold(std::move(a), std::move(b)) } -> std::convertible_to<R>;
};

/// a + b.
struct sum {
  static constexpr std::string_view name = "ebb.sum";
  template <class R>
  R operator()(R a, R b) const {
    return static_cast<R>(std::move(a) + std::move(b));
  }
};

/// The least.
struct minimum {
  static constexpr std::string_view name = "ebb.minimum";
  template <class R>
  R operator()(R a, R b) const {
    return std::min(std::move(a), std::move(b));
  }
};

/// The greatest.
struct maximum {
  static constexpr std::string_view name = "ebb.maximum";
  template <class R>
  R operator()(R a, R b) const {
    return std::max(std::move(a), std::move(b));
  }
};

/// Of sequences: one behind the other, in no particular order.
struct appended {
  static constexpr std::string_view name = "ebb.appended";
  template <class R>
  R operator()(R a, R b) const {
    a.insert(a.end(), std::make_move_iterator(b.begin()), std::make_move_iterator(b.end()));
    return a;
  }
};

/// Of maps: all keys; where both have one, its values are added.
struct merged {
  static constexpr std::string_view name = "ebb.merged";
  template <class R>
  R operator()(R a, R b) const {
    if (a.size() < b.size()) std::swap(a, b);
    for (auto& [key, value] : b) {
      if (const auto [place, fresh] = a.try_emplace(key, value); !fresh) place->second = place->second + value;
    }
    return a;
  }
};

}  // namespace ebb
