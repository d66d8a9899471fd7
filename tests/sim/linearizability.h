// Whether one object, doing one thing at a time, could have answered as a recorded history says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace ebb::sim {

enum class Verdict {
  linearizable,
  not_linearizable,
  undecided,  ///< the search was given up; a test must not take that for a yes
};

/// One operation as its client saw it. Times are of one clock, in any unit.
template <class Specification>
struct Attempt {
  typename Specification::Input input{};
  std::optional<typename Specification::Output> output;  ///< nothing: unknown; it may never happen, or at any time after `begin`
  std::int64_t begin = 0;
  std::int64_t end = 0;  ///< meaningless without an output
};

/// Steps after which a search is given up. One with an order to find takes about one for each operation.
inline constexpr std::size_t kSearchSteps = 200'000;

/// Searches an order in which `specification` gives all the answers, and in which no operation comes before one that had
/// ended when it began: depth first, never twice from the same state with the same operations done (Wing and Gong 1993;
/// Lowe 2017). A history of independent objects is checked object by object.
///
/// A specification has Input, Output and State, the last two ordered by `<`, Input compared with `==`; `State initial() const`; and
/// `std::vector<State> after(const State&, const Input&, const std::optional<Output>&) const`: all states in which the
/// operation can leave the object when it gives that answer (any answer, if there is none); empty if it cannot give it.
template <class Specification>
Verdict check_linearizable(const Specification& specification, std::vector<Attempt<Specification>> attempts,
                           std::size_t limit = kSearchSteps) {
  using State = typename Specification::State;
  using Done = std::vector<bool>;
  std::stable_sort(attempts.begin(), attempts.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::set<std::pair<Done, State>> seen;
  std::vector<std::pair<Done, State>> open;
  open.emplace_back(Done(attempts.size()), specification.initial());
  for (std::size_t steps = 0; !open.empty(); ++steps) {
    if (steps == limit) return Verdict::undecided;
    const auto [done, state] = std::move(open.back());
    open.pop_back();
    std::optional<std::int64_t> first_end;  // of the answered ones that are left: whatever comes next began before that
    for (std::size_t at = 0; at < attempts.size(); ++at) {
      if (done[at] || !attempts[at].output) continue;
      if (!first_end || attempts[at].end < *first_end) first_end = attempts[at].end;
    }
    if (!first_end) return Verdict::linearizable;  // those without an answer need not have happened

    // What is pushed last is tried first: the answered, which fit or do not, before the unknown, which nearly always fit.
    for (const bool answered : {false, true}) {
      std::vector<std::size_t> tried;
      for (std::size_t at = 0; at < attempts.size() && attempts[at].begin <= *first_end; ++at) {
        const auto& attempt = attempts[at];
        if (done[at] || attempt.output.has_value() != answered) continue;
        // Of unknown ones that ask the same, the one that began first can stand for any other.
        const auto same = [&](std::size_t other) { return attempts[other].input == attempt.input; };
        if (!answered && std::any_of(tried.begin(), tried.end(), same)) continue;
        if (!answered) tried.push_back(at);
        for (State& next : specification.after(state, attempt.input, attempt.output)) {
          std::pair<Done, State> node(done, std::move(next));
          node.first[at] = true;
          if (seen.insert(node).second) open.push_back(std::move(node));
        }
      }
    }
  }
  return Verdict::not_linearizable;
}

}  // namespace ebb::sim
