// What a node tells of the calls that it made and carried out: spans of traces, and how long each method takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object.h"
#include "ebb/observe/call_meter.h"

namespace ebb::detail {

/// One span. Ids are those of W3C Trace Context; times are the node's platform::Clock in nanoseconds.
struct SpanRecord {
  std::uint64_t trace_high = 0;
  std::uint64_t trace_low = 0;
  std::uint64_t span = 0;
  std::uint64_t parent = 0;  ///< 0: the trace's root
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  ObjectId object{};         ///< 0 of SpanKind::inside
  std::uint32_t name = 0;    ///< index into the batch's names
  CoreIndex core{};          ///< that recorded it
  NodeId peer{};             ///< who was called, or who called; kNoNode where nobody else takes part
  SpanKind kind = SpanKind::inside;
  Errc status = Errc::ok;
};

/// Spans that have ended, in no order. Each core numbers its own from 0 on.
struct SpanBatch {
  std::vector<std::uint64_t> first;  ///< of each core: the oldest that it kept; what a reader has not got below that is lost
  std::vector<std::uint64_t> next;   ///< of each core: the one after those that are here
  bool more = false;                 ///< ask again
  std::vector<std::string> names;  ///< "demo.Counter/1.add"
  std::vector<SpanRecord> spans;
};

/// How long a method's calls took on a node's cores, since its start. Calls from a core to itself through `->` are not here.
struct MethodRecord {
  std::string interface_name;
  std::string method;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;      ///< of these, the ones that ended with an error, of the method or of the runtime
  std::uint64_t total_ns = 0;
  std::uint64_t maximum_ns = 0;
  /// Of a log-linear histogram: (index of a bucket, calls in it), ascending, without the empty ones. See src/observe/histogram.h.
  std::vector<std::pair<std::uint16_t, std::uint64_t>> buckets;
};

/// Known on every node under a fixed id.
struct ObserverService {
  /// At most `limit` ended spans (and never more than kSpanBatch) of the node's cores, from those on that `read` names for each
  /// core: SpanBatch::next of the last answer that arrived. What comes before `read` is kept no longer; a core that it does not
  /// name begins with what it has. So an answer that is lost on its way costs no spans. One reader: the front end.
  task<Result<SpanBatch>> spans(std::uint32_t limit, std::vector<std::uint64_t> read);
  /// What this node's platform::Clock shows, nanoseconds: for the reader's correction of clocks. Asks no other core, so that the
  /// answer's way is as long as the question's.
  std::int64_t clock();
  /// The methods that any core of this node has carried out; all cores together.
  task<Result<std::vector<MethodRecord>>> methods();
  /// From now on this node starts a trace with so many of a million calls that leave a core and belong to none.
  task<Result<void>> sample(std::uint32_t per_million);
  static constexpr std::uint32_t kSpanBatch = 4096;
  using interface = ebb::interface<"ebb.Observer/1", method<"spans", &ObserverService::spans>,
                                   method<"clock", &ObserverService::clock>, method<"methods", &ObserverService::methods>,
                                   method<"sample", &ObserverService::sample>>;
};

inline constexpr auto kObserver = ref<ObserverService>::unchecked(ObjectId(7));

}  // namespace ebb::detail
