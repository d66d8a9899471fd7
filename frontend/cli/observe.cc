// The commands `ebb trace` and `ebb methods`.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "frontend/cli/client.h"
#include "frontend/cli/connection.h"
#include "multilibos/v1/observe.grpc.pb.h"

namespace ebb::frontend::cli {
namespace {

namespace proto = ::multilibos::v1;

std::unique_ptr<proto::Observe::Stub> connect(const std::string& address) { return proto::Observe::NewStub(channel(address)); }

/// Three digits and a unit that suits them; more digits of seconds.
std::string duration(double nanos) {
  // A unit is too small for what rounds to 1000 of it.
  constexpr double kTooMany = 999.5;
  char text[32];
  if (nanos < kTooMany) {
    std::snprintf(text, sizeof text, "%.0f ns", nanos);
    return text;
  }
  const char* unit = "us";
  double value = nanos / 1e3;
  for (const char* larger : {"ms", "s"}) {
    if (value < kTooMany) break;
    value /= 1e3;
    unit = larger;
  }
  std::snprintf(text, sizeof text, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, std::min(value, 999999.0), unit);
  return text;
}

std::string time_of_day(std::int64_t unix_nanos) {
  const std::time_t seconds = unix_nanos / 1'000'000'000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%H:%M:%S", &local);
  std::snprintf(text + length, sizeof text - length, ".%03d", static_cast<int>(unix_nanos / 1'000'000 % 1000));
  return text;
}

const char* kind_name(proto::Span::Kind kind) {
  switch (kind) {
    case proto::Span::KIND_CLIENT: return "calls";
    case proto::Span::KIND_SERVER: return "runs";
    default: return "does";
  }
}

/// Prints each span once, with what happened within it; those whose parent is not there stand at the left.
class Tree {
 public:
  explicit Tree(const proto::GetTraceResponse& trace) {
    std::set<std::string> ids;
    for (const auto& span : trace.spans()) ids.insert(span.id());
    for (const auto& span : trace.spans()) children_[ids.contains(span.parent()) ? span.parent() : std::string()].push_back(&span);
    if (trace.spans_size() != 0) start_ = trace.spans(0).start_unix_nanos();
    for (const auto& span : trace.spans()) spans_.push_back(&span);
  }
  void print() {
    print_within("", 0);
    // A broken node may name a span its own ancestor: no way leads there from the left.
    for (const proto::Span* span : spans_) print(*span, 0);
  }

 private:
  void print_within(const std::string& parent, int depth) {
    for (const proto::Span* span : children_[parent]) print(*span, depth);
  }
  void print(const proto::Span& span, int depth) {
    if (!printed_.insert(&span).second) return;
    const std::string indented = std::string(static_cast<std::size_t>(2 * depth), ' ') + kind_name(span.kind()) + " " + span.name();
    std::string where = std::to_string(span.node()) + "." + std::to_string(span.core());
    if (span.kind() == proto::Span::KIND_CLIENT && span.has_peer()) where += " -> " + std::to_string(span.peer());
    std::printf("%-60s %-12s %12s %10s  %s\n", indented.c_str(), where.c_str(),
                ("+" + duration(static_cast<double>(std::max<std::int64_t>(0, span.start_unix_nanos() - start_)))).c_str(),
                duration(static_cast<double>(span.duration_nanos())).c_str(), span.status().c_str());
    print_within(span.id(), depth + 1);
  }

  std::map<std::string, std::vector<const proto::Span*>> children_;
  std::vector<const proto::Span*> spans_;
  std::set<const proto::Span*> printed_;
  std::int64_t start_ = 0;
};

std::vector<std::uint32_t> numbers(const google::protobuf::RepeatedField<std::uint32_t>& nodes) { return {nodes.begin(), nodes.end()}; }

nlohmann::json to_json(const proto::Span& span) {
  nlohmann::json json{{"id", span.id()}, {"parent", span.parent()}, {"name", span.name()}, {"kind", kind_name(span.kind())},
                      {"node", span.node()}, {"core", span.core()}, {"object", span.object()},
                      {"start_unix_nanos", span.start_unix_nanos()}, {"duration_nanos", span.duration_nanos()},
                      {"status", span.status()}};
  if (span.has_peer()) json["peer"] = span.peer();
  return json;
}

}  // namespace

Result<void> print_traces(const std::string& address, bool json) {
  Call call;
  proto::ListTracesResponse response;
  auto called = to_result(connect(address)->ListTraces(&call.context, {}, &response), address);
  if (!called) return called;
  auto all = nlohmann::json::array();
  if (!json) std::printf("%-32s  %-12s %10s %6s %6s  %s\n", "TRACE", "START", "DURATION", "SPANS", "ERRORS", "FIRST CALL");
  for (const auto& trace : response.traces()) {
    if (json) {
      all.push_back({{"id", trace.id()}, {"name", trace.name()}, {"start_unix_nanos", trace.start_unix_nanos()},
                     {"duration_nanos", trace.duration_nanos()}, {"spans", trace.spans()}, {"errors", trace.errors()}});
    } else {
      std::printf("%-32s  %-12s %10s %6u %6u  %s\n", trace.id().c_str(), time_of_day(trace.start_unix_nanos()).c_str(),
                  duration(static_cast<double>(trace.duration_nanos())).c_str(), trace.spans(), trace.errors(), trace.name().c_str());
    }
  }
  if (json) {
    std::puts(nlohmann::json{{"traces", all}, {"more_traces", response.more_traces()}, {"dropped_spans", response.dropped_spans()},
                             {"silent_nodes", numbers(response.silent_nodes())}}.dump().c_str());
  }
  say_silent(response.silent_nodes());
  if (json) return {};
  if (response.traces_size() == 0) {
    std::printf("%s; `ebb trace --sample 1000` traces one of a thousand from now on\n",
                response.dropped_spans() == 0 ? "no call has been traced" : "no trace is kept");
  }
  if (response.more_traces() != 0) {
    std::printf("%llu older traces are kept too; `ebb trace ID` shows each of them\n",
                static_cast<unsigned long long>(response.more_traces()));
  }
  if (response.dropped_spans() != 0) {
    std::printf("%llu spans were dropped\n", static_cast<unsigned long long>(response.dropped_spans()));
  }
  return {};
}

Result<void> print_trace(const std::string& address, const std::string& id, bool json) {
  Call call;
  proto::GetTraceRequest request;
  request.set_id(id);
  proto::GetTraceResponse response;
  auto called = to_result(connect(address)->GetTrace(&call.context, request, &response), address);
  if (!called) return called;
  if (json) {
    auto spans = nlohmann::json::array();
    for (const auto& span : response.spans()) spans.push_back(to_json(span));
    std::puts(nlohmann::json{{"spans", spans}, {"silent_nodes", numbers(response.silent_nodes())}}.dump().c_str());
  } else {
    std::printf("%-60s %-12s %12s %10s  %s\n", "CALL", "NODE.CORE", "START", "DURATION", "STATUS");
    Tree(response).print();
  }
  say_silent(response.silent_nodes());
  return {};
}

Result<void> set_sampling(const std::string& address, std::uint32_t per_million) {
  Call call;
  proto::SetSamplingRequest request;
  request.set_per_million(per_million);
  proto::SetSamplingResponse response;
  return to_result(connect(address)->SetSampling(&call.context, request, &response), address);
}

Result<void> print_methods(const std::string& address, bool json) {
  Call call;
  proto::ListMethodsResponse response;
  auto called = to_result(connect(address)->ListMethods(&call.context, {}, &response), address);
  if (!called) return called;
  auto all = nlohmann::json::array();
  if (!json) {
    std::printf("%-44s %10s %7s %9s %9s %9s %9s %9s %9s\n", "METHOD", "CALLS", "ERRORS", "MEAN", "P50", "P90", "P99", "P99.9", "MAX");
  }
  for (const auto& method : response.methods()) {
    if (json) {
      all.push_back({{"interface", method.interface()}, {"method", method.method()}, {"calls", method.calls()},
                     {"errors", method.errors()}, {"mean_nanos", method.mean_nanos()}, {"p50_nanos", method.p50_nanos()},
                     {"p90_nanos", method.p90_nanos()}, {"p99_nanos", method.p99_nanos()}, {"p999_nanos", method.p999_nanos()},
                     {"maximum_nanos", method.maximum_nanos()}});
      continue;
    }
    std::printf("%-44s %10llu %7llu", (method.interface() + "." + method.method()).c_str(),
                static_cast<unsigned long long>(method.calls()), static_cast<unsigned long long>(method.errors()));
    for (const std::uint64_t nanos : {method.mean_nanos(), method.p50_nanos(), method.p90_nanos(), method.p99_nanos(),
                                      method.p999_nanos(), method.maximum_nanos()}) {
      std::printf(" %9s", duration(static_cast<double>(nanos)).c_str());
    }
    std::puts("");
  }
  if (json) {
    std::puts(nlohmann::json{{"methods", all}, {"silent_nodes", numbers(response.silent_nodes())}}.dump().c_str());
  }
  say_silent(response.silent_nodes());
  return {};
}

}  // namespace ebb::frontend::cli
