#include "frontend/observe/read_spans.h"

#include <string>

#include "frontend/observe/node_clocks.h"
#include "frontend/service/printable.h"

namespace ebb::frontend::observe {
namespace {

service::SpanInfo::Kind kind_of(detail::SpanKind kind) {
  switch (kind) {
    case detail::SpanKind::client: return service::SpanInfo::Kind::client;
    case detail::SpanKind::server: return service::SpanInfo::Kind::server;
    default: return service::SpanInfo::Kind::inside;
  }
}

bool is_time(std::int64_t ns) { return ns >= 0 && ns <= NodeClocks::kMostNs; }

// Ids of nothing but zeros are none [W3C Trace Context 3.2.2], and a collector may refuse a whole request for one of them.
bool has_ids(const detail::SpanRecord& record) { return (record.trace_high != 0 || record.trace_low != 0) && record.span != 0; }

}  // namespace

std::vector<service::SpanInfo> read_spans(NodeId node, const detail::SpanBatch& batch, std::int64_t to_unix_ns) {
  std::vector<std::string> names;
  for (const std::string& name : batch.names) names.push_back(service::printable(name));
  std::vector<service::SpanInfo> spans;
  for (const detail::SpanRecord& record : batch.spans) {
    if (record.name >= names.size() || !has_ids(record) || !is_time(record.start_ns) || !is_time(record.duration_ns)) continue;
    spans.push_back({{record.trace_high, record.trace_low}, record.span, record.parent, names[record.name], kind_of(record.kind), node,
                     record.core, record.object, record.peer, record.start_ns + to_unix_ns, record.duration_ns, record.status});
  }
  return spans;
}

}  // namespace ebb::frontend::observe
