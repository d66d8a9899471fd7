// Arguments that a method only looks at: string_view and span parameters. At the caller they own what they were given;
// at the receiver they view the bytes of the call where they lie.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/wire/container.h"
#include "ebb/wire/scalar.h"

namespace ebb::wire {

/// A text that is owned, or viewed in the bytes it was read from, which must then outlive it.
class Text {
 public:
  Text() = default;
  Text(std::string text) noexcept : owned_(std::move(text)) {}  // NOLINT: implicit on purpose
  template <class From>
    requires std::convertible_to<const From&, std::string_view> && (!std::same_as<From, std::string>) &&
             (!std::same_as<From, Text>)
  Text(const From& text) : owned_(std::string_view(text)) {}  // NOLINT: implicit on purpose
  static Text viewing(std::string_view text) noexcept {
    Text result;
    result.viewed_ = text;
    return result;
  }
  // Asked each time: a short string moves its characters along with itself.
  operator std::string_view() const noexcept { return owned_.empty() ? viewed_ : std::string_view(owned_); }

 private:
  std::string owned_;
  std::string_view viewed_;
};

template <>
struct Codec<Text> {
  static constexpr std::size_t kLeastBytes = Codec<std::string>::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return Codec<std::string>::name(hash); }
  static void write(Writer& writer, const Text& value) { Codec<std::string>::write(writer, value); }
  static Text read(Reader& reader) {
    const auto run = reader.view(reader.count(1, 0));
    return Text::viewing({reinterpret_cast<const char*>(run.data()), run.size()});
  }
};

/// Elements in a row that are owned, or viewed in the bytes they were read from, which must then outlive it. Numbers
/// and bytes are viewed (numbers whose place in the bytes is not aligned are copied); everything else is owned.
template <class T>
  requires travels<T> && (!std::is_same_v<T, bool>)
class Sequence {
 public:
  Sequence() = default;
  Sequence(std::vector<T> values) noexcept : owned_(std::move(values)) {}  // NOLINT: implicit on purpose
  template <class From>
    requires std::convertible_to<const From&, std::span<const T>> && (!std::same_as<From, std::vector<T>>) &&
             (!std::same_as<From, Sequence>)
  Sequence(const From& values) {  // NOLINT: implicit on purpose
    const std::span<const T> all = values;
    owned_.assign(all.begin(), all.end());
  }
  static Sequence viewing(std::span<const T> values) noexcept {
    Sequence result;
    result.viewed_ = values;
    return result;
  }
  operator std::span<const T>() const noexcept { return owned_.empty() ? viewed_ : std::span<const T>(owned_); }

 private:
  std::vector<T> owned_;
  std::span<const T> viewed_;
};

template <class T>
struct Codec<Sequence<T>> {
  using List = Codec<std::vector<T>>;
  static constexpr std::size_t kLeastBytes = List::kLeastBytes;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return List::name(hash); }
  static void write(Writer& writer, const Sequence<T>& values) { List::write_run(writer, std::span<const T>(values)); }
  static Sequence<T> read(Reader& reader) {
    if constexpr (!List::kAsItLies) {
      return List::read(reader);
    } else {
      const std::size_t count = reader.count(sizeof(T), sizeof(T));
      const auto run = reader.view(count * sizeof(T));
      if (reinterpret_cast<std::uintptr_t>(run.data()) % alignof(T) == 0) {
        return Sequence<T>::viewing({reinterpret_cast<const T*>(run.data()), count});
      }
      Reader again(run);
      std::vector<T> values(count);
      again.raw(values.data(), run.size());
      return values;
    }
  }
};

namespace detail {

template <class>
inline constexpr bool kIsView = false;
template <>
inline constexpr bool kIsView<Text> = true;
template <class T>
inline constexpr bool kIsView<Sequence<T>> = true;

}  // namespace detail

}  // namespace ebb::wire
