#include "frontend/service/observe_service.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "frontend/service/status.h"

namespace ebb::frontend::service {
namespace {

namespace proto = ::multilibos::v1;

constexpr std::uint32_t kMostTraces = 1000;
constexpr std::uint32_t kMillion = 1'000'000;

std::string hexadecimal(std::uint64_t id) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, id);
  return text;
}

proto::Span::Kind kind_of(SpanInfo::Kind kind) {
  switch (kind) {
    case SpanInfo::Kind::client: return proto::Span::KIND_CLIENT;
    case SpanInfo::Kind::server: return proto::Span::KIND_SERVER;
    default: return proto::Span::KIND_INSIDE;
  }
}

}  // namespace

grpc::Status ObserveService::ListTraces(grpc::ServerContext*, const proto::ListTracesRequest* request,
                                        proto::ListTracesResponse* response) {
  const std::uint32_t limit = request->limit() == 0 ? kMostTraces : std::min(request->limit(), kMostTraces);
  auto list = control_.traces(limit);
  if (!list) return to_status(list.error());
  for (const TraceSummary& trace : list->traces) {
    auto& added = *response->add_traces();
    added.set_id(to_string(trace.id));
    added.set_name(trace.name);
    added.set_start_unix_nanos(trace.start_unix_ns);
    added.set_duration_nanos(trace.duration_ns);
    added.set_spans(trace.spans);
    added.set_errors(trace.errors);
  }
  response->set_dropped_spans(list->dropped_spans);
  response->set_more_traces(list->more);
  for (const NodeId node : list->silent) response->add_silent_nodes(to_number(node));
  return grpc::Status::OK;
}

grpc::Status ObserveService::GetTrace(grpc::ServerContext*, const proto::GetTraceRequest* request,
                                      proto::GetTraceResponse* response) {
  auto trace = control_.trace(request->id());
  if (!trace) return to_status(trace.error());
  for (const SpanInfo& span : trace->spans) {
    auto& added = *response->add_spans();
    added.set_id(hexadecimal(span.span));
    if (span.parent != 0) added.set_parent(hexadecimal(span.parent));
    added.set_name(span.name);
    added.set_kind(kind_of(span.kind));
    added.set_node(to_number(span.node));
    added.set_core(to_number(span.core));
    added.set_object(span.object.index());
    if (span.peer != kNoNode) added.set_peer(to_number(span.peer));
    added.set_start_unix_nanos(span.start_unix_ns);
    added.set_duration_nanos(span.duration_ns);
    added.set_status(std::string(name(span.status)));
  }
  for (const NodeId node : trace->silent) response->add_silent_nodes(to_number(node));
  return grpc::Status::OK;
}

grpc::Status ObserveService::ListMethods(grpc::ServerContext*, const proto::ListMethodsRequest*,
                                         proto::ListMethodsResponse* response) {
  auto list = control_.methods();
  if (!list) return to_status(list.error());
  for (const MethodInfo& method : list->methods) {
    auto& added = *response->add_methods();
    added.set_interface(method.interface);
    added.set_method(method.method);
    added.set_calls(method.calls);
    added.set_errors(method.errors);
    added.set_mean_nanos(method.mean_ns);
    added.set_p50_nanos(method.p50_ns);
    added.set_p90_nanos(method.p90_ns);
    added.set_p99_nanos(method.p99_ns);
    added.set_p999_nanos(method.p999_ns);
    added.set_maximum_nanos(method.maximum_ns);
  }
  for (const NodeId node : list->silent) response->add_silent_nodes(to_number(node));
  return grpc::Status::OK;
}

grpc::Status ObserveService::SetSampling(grpc::ServerContext*, const proto::SetSamplingRequest* request,
                                         proto::SetSamplingResponse*) {
  if (request->per_million() > kMillion) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the rate is in calls of a million: 0 to 1000000"};
  }
  auto set = control_.sample(request->per_million());
  return set ? grpc::Status::OK : to_status(set.error());
}

}  // namespace ebb::frontend::service
