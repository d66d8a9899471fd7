// A connection's two byte rings: what is sent and not yet acknowledged, and what came but cannot be delivered yet.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kernel::net::tcp {

/// Up to two runs of bytes, since a ring wraps.
using Pieces = std::array<std::span<const std::byte>, 2>;

/// The memory that all rings of a core may have together.
class BufferBudget {
 public:
  explicit BufferBudget(std::size_t bytes) : total_(bytes), left_(bytes) {}
  bool take(std::size_t bytes) noexcept {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }
  void give_back(std::size_t bytes) noexcept { left_ += bytes; }
  /// Rings with nothing in them should give their memory back.
  bool scarce() const noexcept { return left_ < total_ / 2; }

 private:
  std::size_t total_;
  std::size_t left_;
};

/// Memory of a power-of-two size, addressed by a stream offset; taken at the first write.
class Ring {
 public:
  /// `budget` must outlive the ring; nullptr: no bound.
  Ring(std::size_t capacity, BufferBudget* budget) : capacity_(capacity), budget_(budget) {}
  ~Ring() { release(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  std::size_t capacity() const noexcept { return capacity_; }
  /// False, with nothing written, when the budget has no memory for the ring.
  bool write(std::uint64_t offset, std::span<const std::byte> bytes);
  Pieces read(std::uint64_t offset, std::size_t size) const noexcept;
  void release() noexcept;
  /// Nothing is in the ring: gives its memory back if others may need it.
  void emptied() noexcept {
    if (budget_ != nullptr && budget_->scarce()) release();
  }

 private:
  std::size_t capacity_;
  BufferBudget* budget_;
  std::unique_ptr<std::byte[]> memory_;
};

/// First in, first out; bytes stay until they are acknowledged.
class SendBuffer {
 public:
  explicit SendBuffer(std::size_t capacity, BufferBudget* budget = nullptr) : ring_(capacity, budget) {}
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
  std::size_t room() const noexcept { return ring_.capacity() - size(); }
  /// Copies a prefix in and says how long it is; nullopt when the budget has no memory for the buffer.
  std::optional<std::size_t> append(std::span<const std::byte> bytes);
  /// `offset` from the oldest byte; offset + size is at most size().
  Pieces view(std::size_t offset, std::size_t size) const noexcept { return ring_.read(begin_ + offset, size); }
  void consume(std::size_t bytes) noexcept {
    begin_ += bytes;
    if (begin_ == end_) ring_.emptied();
  }
  void release() noexcept { begin_ = end_; ring_.release(); }

 private:
  Ring ring_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

/// Puts segments in order. In front lies `ready`, data in order that the owner has not taken; beyond it runs of
/// out-of-order data, at most max_gaps of them. The window covers exactly what there is memory for.
class ReceiveBuffer {
 public:
  ReceiveBuffer(std::size_t capacity, std::size_t max_gaps, BufferBudget* budget = nullptr)
      : ring_(capacity, budget), max_gaps_(max_gaps) {}
  /// How far past the next expected byte data is accepted.
  std::size_t window() const noexcept { return ring_.capacity() - ready(); }
  std::size_t ready() const noexcept { return static_cast<std::size_t>(next_ - taken_); }
  bool has_gaps() const noexcept { return !runs_.empty(); }
  /// Stores bytes that begin `offset` past the next expected byte and lie within the window. Returns how many bytes
  /// came into order by it, or nothing stored and false in `kept` when that would make one gap too many or when the
  /// budget has no memory for the buffer.
  std::size_t insert(std::size_t offset, std::span<const std::byte> bytes, bool& kept);
  /// Accounts for bytes in order that went to the owner directly; only while ready() is 0 and there are no gaps.
  void skip(std::size_t bytes) noexcept { next_ += bytes; taken_ = next_; }
  Pieces view_ready() const noexcept { return ring_.read(taken_, ready()); }
  void take(std::size_t bytes) noexcept {
    taken_ += bytes;
    if (taken_ == next_ && runs_.empty()) ring_.emptied();
  }
  void release() noexcept { taken_ = next_; runs_.clear(); ring_.release(); }

 private:
  struct Run { std::uint64_t begin; std::uint64_t end; };
  Ring ring_;
  std::size_t max_gaps_;
  std::uint64_t taken_ = 0;  // stream offsets
  std::uint64_t next_ = 0;
  std::vector<Run> runs_;    // sorted, apart, all beyond next_
};

}  // namespace kernel::net::tcp
