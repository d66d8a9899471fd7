// The spans that have ended on a core and that nobody has asked for yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

/// How many spans a core keeps; one more overwrites the oldest, which then counts as dropped.
inline constexpr std::size_t kSpansPerCore = 8192;

/// Used on one core only. Memory (some 800 KB) comes with the first span.
class SpanRing {
 public:
  explicit SpanRing(std::size_t capacity = kSpansPerCore) noexcept : capacity_(capacity) {}

  void push(const EndedSpan& span) {
    if (spans_ == nullptr) spans_ = std::make_unique<EndedSpan[]>(capacity_);
    if (written_ - taken_ == capacity_) {
      ++taken_;
      ++dropped_;
    }
    spans_[written_++ % capacity_] = span;
  }

  /// Takes out at most `limit`, oldest first.
  std::vector<EndedSpan> take(std::size_t limit) {
    std::vector<EndedSpan> result;
    for (; result.size() < limit && taken_ != written_; ++taken_) result.push_back(spans_[taken_ % capacity_]);
    return result;
  }
  std::size_t size() const noexcept { return static_cast<std::size_t>(written_ - taken_); }
  std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  std::size_t capacity_;
  std::unique_ptr<EndedSpan[]> spans_;
  std::uint64_t written_ = 0;
  std::uint64_t taken_ = 0;  // or overwritten
  std::uint64_t dropped_ = 0;
};

}  // namespace ebb::detail
