#include "frontend/otlp/encode.h"

#include <cstdint>
#include <map>

namespace ebb::frontend::otlp {
namespace {

namespace proto = multilibos::otlp;

void append_big_endian(std::string& bytes, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(number >> shift & 0xff));
}

proto::Span::Kind kind_of(service::SpanInfo::Kind kind) {
  switch (kind) {
    case service::SpanInfo::Kind::client: return proto::Span::KIND_CLIENT;
    case service::SpanInfo::Kind::server: return proto::Span::KIND_SERVER;
    default: return proto::Span::KIND_INTERNAL;
  }
}

void encode(const service::SpanInfo& from, proto::Span& to) {
  append_big_endian(*to.mutable_trace_id(), from.trace.high);
  append_big_endian(*to.mutable_trace_id(), from.trace.low);
  append_big_endian(*to.mutable_span_id(), from.span);
  if (from.parent != 0) append_big_endian(*to.mutable_parent_span_id(), from.parent);
  to.set_name(from.name);
  to.set_kind(kind_of(from.kind));
  to.set_start_time_unix_nano(static_cast<std::uint64_t>(from.start_unix_ns));
  to.set_end_time_unix_nano(static_cast<std::uint64_t>(from.start_unix_ns + from.duration_ns));
  set(*to.add_attributes(), "ebb.core", to_number(from.core));
  if (from.object.valid()) {
    set(*to.add_attributes(), "ebb.object", from.object.index());
    // The names of the semantic conventions for remote calls: interface and method.
    const std::size_t dot = from.name.rfind('.');
    set(*to.add_attributes(), "rpc.system", "ebb");
    set(*to.add_attributes(), "rpc.service", from.name.substr(0, dot));
    if (dot != std::string::npos) set(*to.add_attributes(), "rpc.method", from.name.substr(dot + 1));
  }
  if (from.peer != kNoNode) set(*to.add_attributes(), "ebb.peer", to_number(from.peer));
  if (from.status != Errc::ok) {
    to.mutable_status()->set_code(proto::Status::CODE_ERROR);
    to.mutable_status()->set_message(std::string(name(from.status)));
  }
}

}  // namespace

void set(proto::KeyValue& attribute, const char* key, std::int64_t value) {
  attribute.set_key(key);
  attribute.mutable_value()->set_int_value(value);
}

void set(proto::KeyValue& attribute, const char* key, const std::string& value) {
  attribute.set_key(key);
  attribute.mutable_value()->set_string_value(value);
}

void set_resource(proto::Resource& resource, const Source& source, NodeId node) {
  set(*resource.add_attributes(), "service.name", source.service);
  // Without it a collector takes the cumulative histograms of two nodes, or of two runs, for one series.
  set(*resource.add_attributes(), "service.instance.id", source.run + "/" + std::to_string(to_number(node)));
  set(*resource.add_attributes(), "ebb.node", to_number(node));
}

proto::ExportTraceRequest encode(const std::vector<service::SpanInfo>& spans, const Source& source) {
  proto::ExportTraceRequest request;
  std::map<NodeId, proto::ScopeSpans*> nodes;
  for (const service::SpanInfo& span : spans) {
    proto::ScopeSpans*& scope = nodes[span.node];
    if (scope == nullptr) {
      proto::ResourceSpans& resource = *request.add_resource_spans();
      set_resource(*resource.mutable_resource(), source, span.node);
      scope = resource.add_scope_spans();
      scope->mutable_scope()->set_name(kScope);
    }
    encode(span, *scope->add_spans());
  }
  return request;
}

}  // namespace ebb::frontend::otlp
