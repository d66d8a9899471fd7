// Calls that another node might make, of objects of the runtime and of an application.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "ebb/object.h"
#include "tests/fuzz/object/input.h"

namespace ebb::detail::fuzz {

// Objects of an application, one of each kind.

inline generator<std::int64_t> three() {
  for (std::int64_t i = 0; i < 3; ++i) co_yield i;
}

struct Plain {
  std::int64_t value = 0;
  std::int64_t add(std::int64_t amount) { return value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + static_cast<std::uint64_t>(amount)); }
  stream<std::int64_t> count() { return three(); }
  ObjectId other() { return ObjectId(kFirstDynamicObject.index() + 1); }
  using interface = ebb::interface<"fuzz.Plain/1", method<"add", &Plain::add>, method<"count", &Plain::count>,
                                   method<"other", &Plain::other>>;
};

struct Account {
  using policy = single_home;
  std::int64_t value = 0;
  std::int64_t get() const { return value; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"fuzz.Account/1", method<"get", &Account::get>>;
};

struct Log {
  using policy = replicated;
  std::vector<std::int64_t> lines;
  void append(std::int64_t line) {
    if (lines.size() < 1000) lines.push_back(line);
  }
  std::int64_t size() const { return static_cast<std::int64_t>(lines.size()); }
  std::vector<std::int64_t> save() const { return lines; }
  void restore(std::vector<std::int64_t> state) { lines = std::move(state); }
  using interface = ebb::interface<"fuzz.Log/1", method<"append", &Log::append>, method<"size", &Log::size>>;
};

struct Store {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 4;
  std::map<std::uint32_t, std::int64_t> values;
  void put(std::uint32_t key, std::int64_t value) { values[key] = value; }
  std::map<std::uint32_t, std::int64_t> save() const { return values; }
  void restore(std::map<std::uint32_t, std::int64_t> state) { values = std::move(state); }
  using interface = ebb::interface<"fuzz.Store/1", method<"put", &Store::put>>;
};

struct AnyCall {
  ObjectId object;
  std::uint64_t method = 0;
  std::vector<std::byte> arguments;
};

/// As the input says: any method of the runtime's own objects, or one that an application's may have.
AnyCall any_call(Input& input);

}  // namespace ebb::detail::fuzz
