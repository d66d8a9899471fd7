// What is noted of a call: by the core that makes it, and by the one that carries it out.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "ebb/base/ids.h"
#include "ebb/base/node_local.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"

namespace ebb::detail {

enum class SpanKind : std::uint8_t {
  inside = 0,  ///< work within a core, named by the application
  client = 1,  ///< a call, as its caller sees it: from before it leaves until its answer is there
  server = 2,  ///< a call, as it is carried out
};

/// A method, as spans and histograms name it. The texts are the program's own.
struct MethodLabel {
  std::uint64_t id = 0;  ///< between nodes; another one for each method of the program
  std::string_view interface_name;
  std::string_view name;
};

/// Of a million calls that leave their core and belong to no trace, so many begin one.
extern constinit NodeLocal<std::atomic<std::uint32_t>> sampling_rate;
bool draw_sample(std::uint32_t per_million) noexcept;

/// Whether a call of `object` that leaves its core, and belongs to no trace, begins one. The runtime's own do not. On a core.
inline bool sampled_by_chance(ObjectId object) noexcept {
  // Relaxed: a rate that is news a little later does no harm.
  const std::uint32_t rate = sampling_rate->load(std::memory_order_relaxed);
  return rate != 0 && object >= kFirstApplicationObject && draw_sample(rate);
}

/// A trace that begins here: sampled, and without a span yet. On a core.
TraceContext begin_trace() noexcept;

/// A span from its beginning to its end, which are on one core. Of a trace that is not sampled it does nothing but hand it on.
class OpenSpan {
 public:
  explicit OpenSpan(const TraceContext& parent) noexcept : trace_(parent) {
    if (parent.sampled) [[unlikely]] begin();
  }
  /// For what happens within it.
  const TraceContext& trace() const noexcept { return trace_; }
  /// Once. Without it nothing is recorded. `peer`: who is called, or who calls.
  void end(SpanKind kind, const MethodLabel& label, ObjectId object, NodeId peer, Errc status) noexcept {
    if (trace_.sampled) [[unlikely]] record(kind, label, object, peer, status);
  }

 private:
  void begin() noexcept;
  void record(SpanKind kind, const MethodLabel& label, ObjectId object, NodeId peer, Errc status) const noexcept;

  TraceContext trace_;
  std::uint64_t parent_ = 0;
  std::int64_t start_ns_ = 0;
};

/// A call that this core carries out, from its beginning to its end.
class CallMeter {
 public:
  /// `counted`: whether it goes into the method's histogram, besides the span of a sampled trace.
  CallMeter(bool counted, const TraceContext& trace) noexcept : span_(trace), counted_(counted) {
    if (counted) begun_ns_ = stopwatch_ns();
  }
  /// For the calls that the method makes.
  const TraceContext& trace() const noexcept { return span_.trace(); }
  /// Once. Without it nothing is recorded.
  void end(const MethodLabel& label, ObjectId object, NodeId caller, Errc status) noexcept {
    if (counted_) count(label, status);
    span_.end(SpanKind::server, label, object, caller, status);
  }

 private:
  static std::int64_t stopwatch_ns() noexcept;
  void count(const MethodLabel& label, Errc status) const noexcept;

  OpenSpan span_;
  std::int64_t begun_ns_ = 0;
  bool counted_;
};

}  // namespace ebb::detail
