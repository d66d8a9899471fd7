// Which C++ types travel between nodes, how, and under what name. docs/protocol.md, "Arguments", is the specification.
//
// The name is part of a method's id: two programs whose argument types differ do not understand each other by accident.
// It is written here by hand, never taken from the compiler, so gcc and clang agree.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ebb/wire/buffer.h"
#include "ebb/wire/choice.h"
#include "ebb/wire/container.h"
#include "ebb/wire/scalar.h"
#include "ebb/wire/structure.h"
#include "ebb/wire/view.h"

namespace ebb::wire {

/// The bytes of one value.
template <travels T>
std::vector<std::byte> encode(const T& value) {
  Writer writer;
  Codec<T>::write(writer, value);
  return std::move(writer).take();
}

/// The value whose bytes `reader` has, all of them; nullopt for anything else.
template <travels T>
std::optional<T> decode(Reader reader) {
  T value = Codec<T>::read(reader);
  if (!reader.finished()) return std::nullopt;
  return value;
}
template <travels T>
std::optional<T> decode(std::span<const std::byte> bytes) {
  return decode<T>(Reader(bytes));
}

}  // namespace ebb::wire
