// What objects of the kinds that simulations use may answer, if they did one thing at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace ebb::sim {

/// A value that is written and read. A write's answer is the value it wrote.
struct RegisterSpecification {
  struct Input {
    bool write = false;
    std::uint64_t value = 0;  ///< of a write
    friend bool operator==(const Input&, const Input&) = default;
  };
  using Output = std::uint64_t;
  using State = std::uint64_t;
  State initial() const { return 0; }
  std::vector<State> after(const State& state, const Input& input, const std::optional<Output>& output) const {
    const State next = input.write ? input.value : state;
    if (output && *output != next) return {};
    return {next};
  }
};

/// A counter that may lose its state and then begins another life at 0. Every operation adds 1 and tells which life and what
/// count came of it. A life that is over does not come back.
struct CounterSpecification {
  struct Input {
    friend bool operator==(const Input&, const Input&) = default;
  };
  struct Output {
    std::uint64_t life = 0;
    std::uint64_t count = 0;
    friend auto operator<=>(const Output&, const Output&) = default;
  };
  using State = Output;
  /// All lives that an answer tells of; one that none tells of makes no difference to the rest.
  std::set<std::uint64_t> lives;
  /// Lives are numbered in the order in which they are lived.
  bool ordered = false;

  State initial() const { return {}; }
  std::vector<State> after(const State& state, const Input&, const std::optional<Output>& output) const {
    std::vector<State> all;
    const auto add = [&](State next) {
      if (!output || *output == next) all.push_back(next);
    };
    if (state.count > 0) add({state.life, state.count + 1});
    for (const std::uint64_t life : lives) {
      if (state.count > 0 && (ordered ? life <= state.life : life == state.life)) continue;
      add({life, 1});
    }
    return all;
  }
};

/// A directory's record of one object: made once, found, given another home by compare-and-set of its epoch, removed.
struct RecordSpecification {
  enum class Action : std::uint8_t { create, find, re_home, remove };
  struct Input {
    Action action = Action::find;
    std::uint64_t expected = 0;  ///< re_home: the epoch that is to be followed by the next
    std::uint32_t node = 0;      ///< create, re_home: the home
    friend bool operator==(const Input&, const Input&) = default;
  };
  /// The record; epoch 0: there is none.
  struct State {
    std::uint64_t epoch = 0;
    std::uint32_t node = 0;
    friend auto operator<=>(const State&, const State&) = default;
  };
  /// What the record is when the operation is over, and whether that was the operation's doing.
  struct Output {
    State record;
    bool changed = false;
    bool told = true;  ///< the answer has the record; a refusal has none
    friend auto operator<=>(const Output&, const Output&) = default;
  };
  State initial() const { return {}; }
  std::vector<State> after(const State& state, const Input& input, const std::optional<Output>& output) const {
    Output result{state, false, true};
    switch (input.action) {
      case Action::create:
        if (state.epoch == 0) result = {{1, input.node}, true, true};
        break;
      case Action::find: break;
      case Action::re_home:
        if (state.epoch != 0 && state.epoch == input.expected) result = {{state.epoch + 1, input.node}, true, true};
        break;
      case Action::remove:
        // Who removes what is removed already, and not retired, hears the same.
        result = {{}, true, true};
        break;
    }
    if (output && output->changed != result.changed) return {};
    if (output && output->told && output->record != result.record) return {};
    return {result.record};
  }
};

/// A name in a directory: at most one object has it at a time, and whoever creates one gets an id that nobody had.
struct NameSpecification {
  enum class Action : std::uint8_t { create, find, destroy };
  struct Input {
    Action action = Action::find;
    std::uint32_t id = 0;  ///< destroy
    friend bool operator==(const Input&, const Input&) = default;
  };
  struct Output {
    std::uint32_t id = 0;  ///< create, find: of the object; 0: there was one already, or there is none
    bool done = false;
    friend auto operator<=>(const Output&, const Output&) = default;
  };
  /// Who has the name, 0: nobody; and who had it before, and so never again.
  struct State {
    std::uint32_t id = 0;
    std::set<std::uint32_t> past;
    friend auto operator<=>(const State&, const State&) = default;
  };
  /// Of an object that nobody ever saw.
  static constexpr std::uint32_t kUnseen = 0xffff'ffff;
  /// All ids that an answer tells of.
  std::set<std::uint32_t> ids;

  State initial() const { return {}; }
  std::vector<State> after(const State& state, const Input& input, const std::optional<Output>& output) const {
    switch (input.action) {
      case Action::find:
        if (output && output->id != state.id) return {};
        return {state};
      case Action::create: {
        if (output && !output->done) return state.id != 0 ? std::vector<State>{state} : std::vector<State>{};
        if (state.id != 0) return {};
        std::vector<State> all;
        if (!output) all.push_back({kUnseen, state.past});
        for (const std::uint32_t id : ids) {
          if (state.past.contains(id) || (output && output->id != id)) continue;
          all.push_back({id, state.past});
        }
        return all;
      }
      case Action::destroy: {
        if (output && !output->done) return state.id != input.id ? std::vector<State>{state} : std::vector<State>{};
        // Who ends what another is ending, or has not ended everywhere, hears the same.
        if (output && state.past.contains(input.id)) return {state};
        if (state.id != input.id) return {};
        State next{0, state.past};
        next.past.insert(state.id);
        return {next};
      }
    }
    return {};
  }
};

}  // namespace ebb::sim
