// The spans that have ended on a core and that no reader has confirmed yet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/observe/call_meter.h"

namespace ebb::detail {

/// A span as its core keeps it. Names are the program's own, and stay.
struct EndedSpan {
  std::uint64_t trace_high = 0;
  std::uint64_t trace_low = 0;
  std::uint64_t span = 0;
  std::uint64_t parent = 0;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  std::string_view interface_name;  ///< empty where the application gave the name
  std::string_view name;
  ObjectId object;
  NodeId peer = kNoNode;
  Errc status = Errc::ok;
  SpanKind kind = SpanKind::inside;
};

/// How many spans a core keeps; one more overwrites the oldest.
inline constexpr std::size_t kSpansPerCore = 8192;

/// A core's spans have numbers, from 0 on, in the order in which they ended: by these a reader knows what it has not got, and says
/// what need not be kept for it. Used on one core only. Memory (some 800 KB) comes with the first span; as long as there is none, each
/// span that ends is lost at once, as if it had been overwritten.
class SpanRing {
 public:
  explicit SpanRing(std::size_t capacity = kSpansPerCore) noexcept : capacity_(capacity) {}

  void push(const EndedSpan& span) noexcept {
    if (spans_ == nullptr) spans_.reset(new (std::nothrow) EndedSpan[capacity_]);
    if (spans_ == nullptr) {
      first_ = ++written_;
      return;
    }
    if (size() == capacity_) ++first_;
    spans_[written_++ % capacity_] = span;
  }

  /// Those numbered below `next` have reached their reader.
  void forget(std::uint64_t next) noexcept { first_ = std::max(first_, std::min(next, written_)); }
  /// At most `limit`, from number first() on; they stay.
  std::vector<EndedSpan> read(std::size_t limit) const {
    std::vector<EndedSpan> result;
    for (std::uint64_t at = first_; result.size() < limit && at != written_; ++at) result.push_back(spans_[at % capacity_]);
    return result;
  }
  /// The number of the oldest that is kept.
  std::uint64_t first() const noexcept { return first_; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(written_ - first_); }

 private:
  std::size_t capacity_;
  std::unique_ptr<EndedSpan[]> spans_;
  std::uint64_t written_ = 0;
  std::uint64_t first_ = 0;
};

}  // namespace ebb::detail
