// The spans that the front end keeps, by trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "frontend/service/observation.h"

namespace ebb::frontend::observe {

/// The newest traces, within bounds: the oldest trace goes whole. One core.
class TraceStore {
 public:
  static constexpr std::size_t kMaxSpans = 50'000;
  static constexpr std::size_t kMaxSpansOfTrace = 10'000;

  void add(service::SpanInfo span);
  /// Of spans that nodes have dropped besides.
  void note_dropped(std::uint64_t spans) noexcept { dropped_ += spans; }

  service::TraceList list(std::uint32_t limit) const;
  /// Ordered by start. See ObserveControl::trace.
  Result<std::vector<service::SpanInfo>> find(const std::string& id) const;
  std::size_t spans() const noexcept { return spans_; }

 private:
  static service::TraceSummary summarize(service::TraceId id, const std::vector<service::SpanInfo>& spans);

  std::map<service::TraceId, std::vector<service::SpanInfo>> traces_;
  std::deque<service::TraceId> order_;  // oldest first
  std::size_t spans_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace ebb::frontend::observe
