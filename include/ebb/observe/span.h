// How an application takes part in traces: spans of its own, and how many calls begin a trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/observe/call_meter.h"

namespace ebb {

/// The name of a span: a string literal, since it is kept without a copy.
class span_name {
 public:
  template <std::size_t Size>
  consteval span_name(const char (&text)[Size]) noexcept : text_(text, Size - 1) {}  // NOLINT: implicit on purpose
  std::string_view text() const noexcept { return text_; }  ///< as it was written

 private:
  std::string_view text_;
};

/// A stretch of the application's own work as part of a trace, from where it is made to the end of its scope:
///
///     ebb::span work("parse", context.trace);
///     co_await object.on(node).under(work).call<&T::method>(...);
///
/// In a trace that is not sampled (and in none) it costs a test. Belongs to the core that it was made on; does not block.
class span {
 public:
  /// Within `parent`: a call's context.trace, another span, or none.
  span(span_name name, const TraceContext& parent) noexcept : name_(name), open_(parent) {}
  /// One that begins a trace, which is recorded.
  static span traced(span_name name) noexcept { return {name, detail::begin_trace()}; }
  ~span() { open_.end(detail::SpanKind::inside, {0, {}, name_.text()}, ObjectId(), kNoNode, status_); }
  span(const span&) = delete;
  span& operator=(const span&) = delete;

  /// What the spans within it refer to.
  const TraceContext& context() const noexcept { return open_.trace(); }
  operator const TraceContext&() const noexcept { return context(); }  // NOLINT: implicit on purpose
  /// How the work went; Errc::ok unless it is said.
  void set_status(Errc status) noexcept { status_ = status; }

 private:
  span_name name_;
  Errc status_ = Errc::ok;
  detail::OpenSpan open_;
};

namespace observe {

/// From now on this node begins a trace with so many of a million calls that go to another core or node and belong to no trace
/// yet; at first none. At most a million. Every core.
void sample(std::uint32_t per_million) noexcept;

}  // namespace observe
}  // namespace ebb
