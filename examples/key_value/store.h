// The object of this example: texts by key, in many partitions, of which each core of each backend has some.
#pragma once

#include <ebb/object.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

/// An instance is one partition, whose calls all run on the core that has it: it needs no lock.
struct Store {
  using policy = ebb::partitioned;

  struct State {
    std::map<std::string, std::string> texts;
    bool is_new_after_loss = false;
  } state;

  void put(const std::string& key, const std::string& text) { state.texts[key] = text; }
  std::optional<std::string> get(const std::string& key) const {
    const auto found = state.texts.find(key);
    if (found == state.texts.end()) return std::nullopt;
    return found->second;
  }
  std::uint64_t size() const { return state.texts.size(); }
  std::uint64_t losses() const { return state.is_new_after_loss ? 1 : 0; }
  /// For show: ends the node without a word to anybody.
  void crash() { std::_Exit(1); }

  /// What goes along when the partition moves to another node.
  State save() const { return state; }
  void restore(State moved) { state = std::move(moved); }
  /// Called in place of restore() when the node that had the partition is gone, and the texts with it.
  void on_lost(const ebb::partition_lost&) { state.is_new_after_loss = true; }

  using interface = ebb::interface<"example.Store/1", ebb::method<"put", &Store::put>, ebb::method<"get", &Store::get>,
                                   ebb::method<"size", &Store::size>, ebb::method<"losses", &Store::losses>,
                                   ebb::method<"crash", &Store::crash>>;
};
