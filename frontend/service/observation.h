// What the gRPC service asks about calls, in plain types.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::frontend::service {

struct TraceId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const TraceId&, const TraceId&) = default;
};

/// A span whose clock has been corrected to the front end's.
struct SpanInfo {
  enum class Kind : std::uint8_t { inside, client, server };
  TraceId trace;
  std::uint64_t span = 0;
  std::uint64_t parent = 0;  ///< 0: none
  std::string name;
  Kind kind = Kind::inside;
  NodeId node = kNoNode;
  CoreIndex core{};
  ObjectId object;
  NodeId peer = kNoNode;
  std::int64_t start_unix_ns = 0;
  std::int64_t duration_ns = 0;
  Errc status = Errc::ok;
};

struct TraceSummary {
  TraceId id;
  std::string name;
  std::int64_t start_unix_ns = 0;
  std::int64_t duration_ns = 0;
  std::uint32_t spans = 0;
  std::uint32_t errors = 0;
};

struct TraceList {
  std::vector<TraceSummary> traces;  ///< the newest first
  std::uint64_t dropped_spans = 0;
  std::vector<NodeId> silent;  ///< nodes that did not say now what they have recorded
  std::uint64_t more = 0;      ///< older ones, which are kept too
};

struct Trace {
  std::vector<SpanInfo> spans;
  std::vector<NodeId> silent;  ///< nodes that did not say now what they have recorded
};

struct MethodInfo {
  std::string interface;
  std::string method;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  std::uint64_t mean_ns = 0;
  std::uint64_t p50_ns = 0;
  std::uint64_t p90_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t p999_ns = 0;
  std::uint64_t maximum_ns = 0;
};

struct MethodList {
  std::vector<MethodInfo> methods;  ///< by interface and method
  std::vector<NodeId> silent;       ///< nodes that did not answer
};

/// How long a method's calls took on a node, since that node's start.
struct MethodHistogram {
  NodeId node = kNoNode;
  std::string interface;
  std::string method;
  std::uint64_t total_ns = 0;
  std::uint64_t maximum_ns = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> buckets;  ///< (least duration in it, calls)
};

/// All methods of all nodes that answered, at one time. What they count began no earlier than `start_unix_ns`.
struct MethodSnapshot {
  std::int64_t start_unix_ns = 0;
  std::int64_t unix_ns = 0;
  std::vector<MethodHistogram> methods;
};

/// As with ClusterControl, every call comes on a thread of gRPC's and may block it.
class ObserveControl {
 public:
  virtual ~ObserveControl() = default;
  virtual Result<TraceList> traces(std::uint32_t limit) = 0;
  /// `id`: hexadecimal digits that only one trace begins with. Errors: not_found: none does; invalid_argument:
  /// several do, or these are no such digits.
  virtual Result<Trace> trace(const std::string& id) = 0;
  virtual Result<MethodList> methods() = 0;
  virtual Result<void> sample(std::uint32_t per_million) = 0;
};

/// 32 hexadecimal digits.
std::string to_string(TraceId id);

}  // namespace ebb::frontend::service
