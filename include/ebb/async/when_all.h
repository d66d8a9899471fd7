// when_all: several tasks at once, on this core.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/task.h"

namespace ebb {

namespace detail {

struct WhenAllState {
  std::size_t remaining;
  std::exception_ptr first_error;
  Completion<> done;

  void one_ended() {
    if (--remaining == 0) done.complete();
  }
};

template <class T>
using WhenAllValue = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
Detached run_for_all(task<T> work, std::optional<WhenAllValue<T>>* slot, WhenAllState* state) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      slot->emplace();
    } else {
      slot->emplace(co_await std::move(work));
    }
  } catch (...) {
    if (!state->first_error) state->first_error = std::current_exception();
  }
  state->one_ended();
}

/// The tasks before it hold places in the frame of when_all(): one without memory to begin counts as ended, and they are
/// waited for as ever.
template <class T>
void start_for_all(task<T> work, std::optional<WhenAllValue<T>>* slot, WhenAllState* state) noexcept {
  try {
    run_for_all<T>(std::move(work), slot, state);
  } catch (...) {
    if (!state->first_error) state->first_error = std::current_exception();
    state->one_ended();
  }
}

}  // namespace detail

/// Starts all tasks, waits until every one has ended, and returns their values in order, or throws the exception
/// of the one that failed first. The number of tasks is the caller's to bound.
template <class T>
task<std::vector<T>> when_all(std::vector<task<T>> tasks) {
  std::vector<T> values;
  std::vector<std::optional<T>> slots(tasks.size());
  detail::WhenAllState state{tasks.size(), nullptr, {}};
  for (std::size_t i = 0; i < tasks.size(); ++i) detail::start_for_all<T>(std::move(tasks[i]), &slots[i], &state);
  if (!slots.empty()) co_await state.done;
  if (state.first_error) std::rethrow_exception(state.first_error);
  values.reserve(slots.size());
  for (auto& slot : slots) values.push_back(std::move(*slot));
  co_return values;
}

/// The same for tasks without a value.
inline task<void> when_all(std::vector<task<void>> tasks) {
  std::vector<std::optional<std::monostate>> slots(tasks.size());
  detail::WhenAllState state{tasks.size(), nullptr, {}};
  for (std::size_t i = 0; i < tasks.size(); ++i) detail::start_for_all<void>(std::move(tasks[i]), &slots[i], &state);
  if (!slots.empty()) co_await state.done;
  if (state.first_error) std::rethrow_exception(state.first_error);
}

/// The same for tasks of different types; a task<void> gives a std::monostate.
template <class... T>
task<std::tuple<detail::WhenAllValue<T>...>> when_all(task<T>... tasks) {
  std::tuple<std::optional<detail::WhenAllValue<T>>...> slots;
  detail::WhenAllState state{sizeof...(T), nullptr, {}};
  auto start = [&]<std::size_t... I>(std::index_sequence<I...>) {
    (detail::start_for_all<T>(std::move(tasks), &std::get<I>(slots), &state), ...);
  };
  start(std::index_sequence_for<T...>{});
  if constexpr (sizeof...(T) != 0) co_await state.done;
  if (state.first_error) std::rethrow_exception(state.first_error);
  auto collect = [](auto&... slot) { return std::tuple<detail::WhenAllValue<T>...>(std::move(*slot)...); };
  co_return std::apply(collect, slots);
}

}  // namespace ebb
