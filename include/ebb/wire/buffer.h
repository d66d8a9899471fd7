// Writing and reading the bytes of an argument list: fixed-width little-endian numbers, and counted runs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace ebb::wire {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

/// A number whose bytes in memory, on a little-endian machine, are its bytes on the wire.
template <class T>
concept plain_number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8;

/// Grows as it is written to; as large as memory allows (the messenger refuses what is too large for a frame).
class Writer {
 public:
  template <plain_number T>
  void number(T value) {
    raw(&value, sizeof value);
  }
  /// How many elements follow. Throws std::length_error from 2^32 on, which no frame could carry.
  void count(std::size_t elements) {
    if (elements > std::numeric_limits<std::uint32_t>::max()) throw std::length_error("more elements than travel");
    number(static_cast<std::uint32_t>(elements));
  }
  /// `size` bytes as they are.
  void raw(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  void reserve(std::size_t bytes) { bytes_.reserve(bytes_.size() + bytes); }
  std::vector<std::byte> take() && noexcept { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads what a peer sent, and trusts none of it: after the first read that goes wrong every read gives zeros and
/// nothing, and finished() stays false. The bytes must outlive the reader.
class Reader {
 public:
  /// The memory that values read from n bytes may take is kMemoryBase + n * kMemoryPerByte. The factor is what a set of 16-bit
  /// numbers needs; an empty optional of a string is a byte here and 40 there, and many of them are refused.
  static constexpr std::size_t kMemoryBase = std::size_t{64} << 10;
  static constexpr std::size_t kMemoryPerByte = 24;

  explicit Reader(std::span<const std::byte> bytes) noexcept
      : Reader(bytes, kMemoryBase + bytes.size() * kMemoryPerByte) {}
  /// Values may take `memory` bytes.
  Reader(std::span<const std::byte> bytes, std::size_t memory) noexcept : rest_(bytes), memory_(memory) {}

  template <plain_number T>
  T number() noexcept {
    T value{};
    raw(&value, sizeof value);
    return value;
  }
  /// How many elements follow, each at least `least_bytes` long here and `memory_bytes` large in memory: a count that the
  /// bytes left cannot hold, or the memory left, is an error. Asked before anything is reserved.
  std::size_t count(std::size_t least_bytes, std::size_t memory_bytes) noexcept {
    const std::size_t elements = number<std::uint32_t>();
    if (elements > rest_.size() / least_bytes) {
      fail();
    } else if (take_memory(elements * memory_bytes)) {
      return elements;
    }
    return 0;
  }
  /// Asked before a value takes memory of its own; an error, and false, where that is too much for so few bytes.
  bool take_memory(std::size_t bytes) noexcept {
    if (bytes <= memory_) {
      memory_ -= bytes;
      return true;
    }
    fail();
    too_large_ = true;
    return false;
  }
  void raw(void* data, std::size_t size) noexcept {
    if (size > rest_.size()) return fail();
    if (size != 0) std::memcpy(data, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }
  /// The next `size` bytes where they lie.
  std::span<const std::byte> view(std::size_t size) noexcept {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const auto run = rest_.first(size);
    rest_ = rest_.subspan(size);
    return run;
  }
  void fail() noexcept {
    failed_ = true;
    rest_ = {};
  }
  bool failed() const noexcept { return failed_; }
  /// It failed, since the values would have taken too much memory.
  bool too_large() const noexcept { return too_large_; }
  /// Everything was right, and nothing is left over.
  bool finished() const noexcept { return !failed_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  std::size_t memory_;
  bool failed_ = false;
  bool too_large_ = false;
};

}  // namespace ebb::wire
