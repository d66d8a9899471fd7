#include "frontend/observe/trace_store.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace ebb::frontend::observe {

using service::SpanInfo;
using service::TraceId;

void TraceStore::add(SpanInfo span) {
  const auto [place, fresh] = traces_.try_emplace(span.trace);
  if (fresh) order_.push_back(span.trace);
  if (place->second.size() >= kMaxSpansOfTrace) {
    ++dropped_;
    return;
  }
  place->second.push_back(std::move(span));
  ++spans_;
  while (spans_ > kMaxSpans) {
    const auto oldest = traces_.find(order_.front());
    spans_ -= oldest->second.size();
    dropped_ += oldest->second.size();
    traces_.erase(oldest);
    order_.pop_front();
  }
}

service::TraceSummary TraceStore::summarize(TraceId id, const std::vector<SpanInfo>& spans) {
  service::TraceSummary summary;
  summary.id = id;
  summary.spans = static_cast<std::uint32_t>(spans.size());
  const SpanInfo* first = nullptr;
  std::int64_t end = 0;
  for (const SpanInfo& span : spans) {
    // Clocks are corrected to a fraction of a round trip: of spans at nearly one time, the one without a parent is the first.
    const bool earlier = first == nullptr || (span.parent == 0) > (first->parent == 0) ||
                         ((span.parent == 0) == (first->parent == 0) && span.start_unix_ns < first->start_unix_ns);
    if (earlier) first = &span;
    end = std::max(end, span.start_unix_ns + span.duration_ns);
    if (span.status != Errc::ok) ++summary.errors;
  }
  if (first == nullptr) return summary;
  summary.name = first->name;
  summary.start_unix_ns = first->start_unix_ns;
  summary.duration_ns = end - first->start_unix_ns;
  return summary;
}

service::TraceList TraceStore::list(std::uint32_t limit) const {
  service::TraceList list;
  list.dropped_spans = dropped_;
  for (auto each = order_.rbegin(); each != order_.rend() && list.traces.size() < limit; ++each) {
    list.traces.push_back(summarize(*each, traces_.at(*each)));
  }
  list.more = order_.size() - list.traces.size();
  return list;
}

Result<std::vector<SpanInfo>> TraceStore::find(const std::string& id) const {
  const bool digits = std::all_of(id.begin(), id.end(), [](unsigned char digit) { return std::isxdigit(digit) != 0; });
  if (id.empty() || id.size() > 32 || !digits) {
    return Error(Errc::invalid_argument, "\"" + id + "\" is no id of a trace: give its hexadecimal digits, as `ebb trace` lists them");
  }
  std::string wanted = id;
  std::transform(wanted.begin(), wanted.end(), wanted.begin(), [](unsigned char digit) { return static_cast<char>(std::tolower(digit)); });
  std::optional<TraceId> found;
  for (const auto& [trace, spans] : traces_) {
    if (!service::to_string(trace).starts_with(wanted)) continue;
    if (found) return Error(Errc::invalid_argument, "several traces begin with " + id + "; give more digits");
    found = trace;
  }
  if (!found) return Error(Errc::not_found, "no trace " + id + " is kept; `ebb trace` lists those that are");
  std::vector<SpanInfo> spans = traces_.at(*found);
  std::stable_sort(spans.begin(), spans.end(), [](const SpanInfo& a, const SpanInfo& b) { return a.start_unix_ns < b.start_unix_ns; });
  return spans;
}

}  // namespace ebb::frontend::observe
