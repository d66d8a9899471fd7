// Spans and histograms on their way to a collector: one that listens, refuses at first, rejects some, never answers, or is
// not there.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <optional>

#include "frontend/otlp/encode.h"
#include "frontend/otlp/exporter.h"
#include "frontend/otlp/retry.h"
#include "multilibos/otlp/retry.pb.h"

namespace ebb::frontend::otlp {
namespace {

using namespace std::chrono_literals;
namespace proto = multilibos::otlp;

const Source kSource{"demo", "00c0ffee00c0ffee"};

service::SpanInfo example() {
  service::SpanInfo span;
  span.trace = {0x0102030405060708, 0x090a0b0c0d0e0f10};
  span.span = 0x1112131415161718;
  span.parent = 0x2122232425262728;
  span.name = "demo.Counter/1.add";
  span.kind = service::SpanInfo::Kind::server;
  span.node = NodeId{3};
  span.core = CoreIndex{1};
  span.object = ObjectId(1030);
  span.peer = NodeId{0};
  span.start_unix_ns = 1'000'000'000'000;
  span.duration_ns = 1'500;
  span.status = Errc::application_error;
  return span;
}

service::MethodSnapshot snapshot_of(std::size_t methods) {
  service::MethodSnapshot snapshot{1'000, 2'000, {}};
  for (std::size_t number = 0; number < methods; ++number) {
    snapshot.methods.push_back({NodeId{3}, "demo.Counter/1", "add", 5'000'000, 3'000'000, {{0, 2}, {1'023, 1}, {1'024, 4}, {std::uint64_t{1} << 36, 3}}});
  }
  return snapshot;
}

template <class Holder>
std::map<std::string, std::string> attributes(const Holder& holder) {
  std::map<std::string, std::string> found;
  for (const auto& each : holder.attributes()) {
    const proto::AnyValue& value = each.value();
    found[each.key()] = value.has_int_value() ? std::to_string(value.int_value()) : value.string_value();
  }
  return found;
}

struct Behaviour {
  int refusals = 0;      ///< the first calls with spans are answered with `refusal`; until accept()
  bool hangs = false;    ///< no call is answered
  std::int64_t rejects = 0;
  std::string message = {};
  bool no_metrics = false;  ///< that method is unknown
  grpc::StatusCode refusal = grpc::StatusCode::UNAVAILABLE;
  std::string details = {};  ///< of a refusal
};

/// Collects what comes for any method.
class Collector final : public grpc::CallbackGenericService {
 public:
  explicit Collector(const Behaviour& behaviour) : behaviour_(behaviour) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~Collector() override { server_->Shutdown(std::chrono::system_clock::now() + 1s); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  bool wait_for_spans(int count) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, 20s, [this, count] { return spans_ >= count; });
  }
  bool wait_for_points(int count) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, 20s, [this, count] { return points_ >= count; });
  }
  bool wait_for_attempts(int count) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, 20s, [this, count] { return attempts_ >= count; });
  }
  void accept() {
    const std::lock_guard guard(mutex_);
    accepts_ = true;
  }
  std::string method() {
    const std::lock_guard guard(mutex_);
    return method_;
  }
  /// "service.instance.id" of each request with spans.
  std::vector<std::string> instances() {
    const std::lock_guard guard(mutex_);
    return instances_;
  }
  int attempts() {
    const std::lock_guard guard(mutex_);
    return attempts_;
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(Collector& collector, bool metrics) : collector_(collector), metrics_(metrics) { StartRead(&request_); }
    void OnReadDone(bool ok) override {
      if (ok && metrics_) return take_metrics();
      const bool taken = ok && collector_.take(request_);
      const Behaviour& behaviour = collector_.behaviour_;
      if (ok && behaviour.hangs) return;
      if (!taken) return Finish({behaviour.refusal, "not yet", behaviour.details});
      proto::ExportTraceResponse response;
      if (behaviour.rejects != 0) response.mutable_partial_success()->set_rejected_spans(behaviour.rejects);
      if (!behaviour.message.empty()) response.mutable_partial_success()->set_error_message(behaviour.message);
      bool own = false;
      grpc::SerializationTraits<proto::ExportTraceResponse>::Serialize(response, &answer_, &own);
      StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
    }
    void OnCancel() override {
      if (collector_.behaviour_.hangs) Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    void take_metrics() {
      if (!collector_.take_metrics(request_)) return Finish({grpc::StatusCode::UNIMPLEMENTED, "unknown service"});
      bool own = false;
      grpc::SerializationTraits<proto::ExportMetricsResponse>::Serialize(proto::ExportMetricsResponse(), &answer_, &own);
      StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
    }

    Collector& collector_;
    const bool metrics_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer answer_;
  };

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    const std::lock_guard guard(mutex_);
    method_ = context->method();
    return new Reactor(*this, method_ == "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
  }
  bool take_metrics(grpc::ByteBuffer& bytes) {
    proto::ExportMetricsRequest request;
    const grpc::Status parsed = grpc::SerializationTraits<proto::ExportMetricsRequest>::Deserialize(&bytes, &request);
    const std::lock_guard guard(mutex_);
    ++attempts_;
    changed_.notify_all();
    if (!parsed.ok() || behaviour_.no_metrics) return false;
    for (const auto& resource : request.resource_metrics()) {
      points_ += resource.scope_metrics(0).metrics(0).histogram().data_points_size();
    }
    return true;
  }
  bool take(grpc::ByteBuffer& bytes) {
    proto::ExportTraceRequest request;
    const grpc::Status parsed = grpc::SerializationTraits<proto::ExportTraceRequest>::Deserialize(&bytes, &request);
    const std::lock_guard guard(mutex_);
    ++attempts_;
    changed_.notify_all();
    if (!parsed.ok() || (!accepts_ && attempts_ <= behaviour_.refusals)) return false;
    for (const auto& resource : request.resource_spans()) {
      instances_.push_back(attributes(resource.resource())["service.instance.id"]);
      spans_ += resource.scope_spans(0).spans_size();
    }
    return true;
  }

  const Behaviour behaviour_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool accepts_ = false;
  int attempts_ = 0;
  int spans_ = 0;
  int points_ = 0;
  int port_ = 0;
  std::string method_;
  std::vector<std::string> instances_;
  std::unique_ptr<grpc::Server> server_;
};

/// How often a line with this was printed.
std::size_t lines_with(const std::string& said, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = said.find(part); at != std::string::npos; at = said.find(part, at + part.size())) ++count;
  return count;
}

TEST(OtlpEncoding, WritesIdsBigEndianAndOneResourceANode) {
  service::SpanInfo other = example();
  other.node = NodeId{4};
  other.parent = 0;
  other.status = Errc::ok;
  other.object = ObjectId();
  other.peer = kNoNode;
  const auto request = encode({example(), other, example()}, kSource);
  ASSERT_EQ(request.resource_spans_size(), 2);
  const auto& resource = request.resource_spans(0);
  EXPECT_EQ(attributes(resource.resource()), (std::map<std::string, std::string>{{"service.name", "demo"},
                                                                                 {"service.instance.id", "00c0ffee00c0ffee/3"},
                                                                                 {"ebb.node", "3"}}));
  ASSERT_EQ(resource.scope_spans(0).spans_size(), 2);
  const proto::Span& span = resource.scope_spans(0).spans(0);
  EXPECT_EQ(span.trace_id(), std::string("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16));
  EXPECT_EQ(span.span_id(), "\x11\x12\x13\x14\x15\x16\x17\x18");
  EXPECT_EQ(span.parent_span_id(), "\x21\x22\x23\x24\x25\x26\x27\x28");
  EXPECT_EQ(span.kind(), proto::Span::KIND_SERVER);
  EXPECT_EQ(span.start_time_unix_nano(), 1'000'000'000'000u);
  EXPECT_EQ(span.end_time_unix_nano(), 1'000'000'001'500u);
  EXPECT_EQ(span.status().code(), proto::Status::CODE_ERROR);
  EXPECT_EQ(span.status().message(), "application_error");
  EXPECT_EQ(attributes(span), (std::map<std::string, std::string>{{"ebb.core", "1"}, {"ebb.object", "1030"}, {"ebb.peer", "0"},
                                                                  {"rpc.system", "ebb"}, {"rpc.service", "demo.Counter/1"},
                                                                  {"rpc.method", "add"}}));
  const proto::Span& root = request.resource_spans(1).scope_spans(0).spans(0);
  EXPECT_TRUE(root.parent_span_id().empty());
  EXPECT_EQ(root.status().code(), proto::Status::CODE_UNSET);
  EXPECT_EQ(attributes(root), (std::map<std::string, std::string>{{"ebb.core", "1"}}));
}

// The numbers are the specification's: opentelemetry-proto 1.x, trace/v1/trace.proto. Field by field, since that is what travels.
TEST(OtlpEncoding, UsesTheFieldNumbersOfTheSpecification) {
  service::SpanInfo span;
  span.trace = {1, 2};
  span.span = 3;
  span.name = "n";
  span.start_unix_ns = 4;
  span.duration_ns = 1;
  proto::Span only;
  const auto request = encode({span}, kSource);
  only = request.resource_spans(0).scope_spans(0).spans(0);
  only.clear_attributes();
  const std::string expected = std::string("\x0a\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02", 18) + std::string("\x12\x08\0\0\0\0\0\0\0\x03", 10) +
                               std::string("\x2a\x01n", 3) + std::string("\x30\x01", 2) + std::string("\x39\x04\0\0\0\0\0\0\0", 9) +
                               std::string("\x41\x05\0\0\0\0\0\0\0", 9);
  EXPECT_EQ(only.SerializeAsString(), expected);
  EXPECT_EQ(request.SerializeAsString()[0], '\x0a');
  EXPECT_EQ(request.resource_spans(0).SerializeAsString().substr(0, 1), "\x0a");
}

TEST(OtlpEncoding, WritesAHistogramAMethodAndOneResourceANode) {
  service::MethodSnapshot snapshot = snapshot_of(2);
  snapshot.methods[1].node = NodeId{4};
  snapshot.methods[1].interface.clear();
  const proto::ExportMetricsRequest request = encode(snapshot, kSource);
  ASSERT_EQ(request.resource_metrics_size(), 2);
  const auto& resource = request.resource_metrics(0);
  EXPECT_EQ(attributes(resource.resource()), (std::map<std::string, std::string>{{"service.name", "demo"},
                                                                                 {"service.instance.id", "00c0ffee00c0ffee/3"},
                                                                                 {"ebb.node", "3"}}));
  EXPECT_EQ(attributes(request.resource_metrics(1).resource())["service.instance.id"], "00c0ffee00c0ffee/4");
  const proto::Metric& metric = resource.scope_metrics(0).metrics(0);
  EXPECT_EQ(metric.name(), "rpc.server.call.duration");
  EXPECT_EQ(metric.unit(), "s");
  EXPECT_EQ(metric.histogram().aggregation_temporality(), proto::AGGREGATION_TEMPORALITY_CUMULATIVE);
  ASSERT_EQ(metric.histogram().data_points_size(), 1);
  const proto::HistogramDataPoint& point = metric.histogram().data_points(0);
  EXPECT_EQ(point.start_time_unix_nano(), 1'000u);
  EXPECT_EQ(point.time_unix_nano(), 2'000u);
  EXPECT_EQ(point.count(), 10u);
  EXPECT_DOUBLE_EQ(point.sum(), 0.005);
  EXPECT_DOUBLE_EQ(point.max(), 0.003);
  ASSERT_EQ(point.bucket_counts_size(), point.explicit_bounds_size() + 1);
  EXPECT_DOUBLE_EQ(point.explicit_bounds(0), 1.024e-6);
  EXPECT_EQ(point.bucket_counts(0), 3u);
  EXPECT_EQ(point.bucket_counts(1), 4u);
  EXPECT_EQ(point.bucket_counts(point.bucket_counts_size() - 1), 3u);
  EXPECT_EQ(attributes(point), (std::map<std::string, std::string>{{"rpc.system", "ebb"}, {"rpc.service", "demo.Counter/1"}, {"rpc.method", "add"}}));
  EXPECT_FALSE(attributes(request.resource_metrics(1).scope_metrics(0).metrics(0).histogram().data_points(0)).contains("rpc.service"));
}

// As above, of metrics/v1/metrics.proto: with one bucket and no attributes, field by field.
TEST(OtlpEncoding, UsesTheFieldNumbersOfTheSpecificationForHistogramsToo) {
  const auto request = encode(snapshot_of(1), kSource);
  proto::Metric metric = request.resource_metrics(0).scope_metrics(0).metrics(0);
  proto::HistogramDataPoint point = metric.histogram().data_points(0);
  point.clear_attributes();
  point.clear_bucket_counts();
  point.clear_explicit_bounds();
  point.add_bucket_counts(10);
  point.add_explicit_bounds(1);
  point.set_sum(1);
  point.set_max(1);
  const std::string one("\0\0\0\0\0\0\xf0\x3f", 8);
  const std::string expected = std::string("\x11\xe8\x03\0\0\0\0\0\0", 9) + std::string("\x19\xd0\x07\0\0\0\0\0\0", 9) +
                               std::string("\x21\x0a\0\0\0\0\0\0\0", 9) + "\x29" + one + std::string("\x32\x08\x0a\0\0\0\0\0\0\0", 10) +
                               "\x3a\x08" + one + "\x61" + one;
  EXPECT_EQ(point.SerializeAsString(), expected);
  metric.mutable_histogram()->clear_data_points();
  metric.set_name("n");
  metric.set_description("d");
  EXPECT_EQ(metric.SerializeAsString(), std::string("\x0a\x01n\x12\x01" "d\x1a\x01s\x4a\x02\x10\x02", 13));
}

TEST(OtlpExporter, SendsHistogramsInParts) {
  Collector collector({});
  Exporter exporter(collector.address(), "demo");
  exporter.push(snapshot_of(2'500));
  EXPECT_TRUE(collector.wait_for_points(2'500));
  EXPECT_EQ(collector.attempts(), 2);
  EXPECT_EQ(collector.method(), "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
}

TEST(OtlpExporter, SaysOnceThatACollectorTakesNoMetricsAndGoesOnWithSpans) {
  Collector collector({.no_metrics = true});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo");
    for (int attempt = 1; attempt <= 2; ++attempt) {
      exporter.push(snapshot_of(1));
      EXPECT_TRUE(collector.wait_for_attempts(attempt));
    }
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(1));
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "takes no metrics, or not all: unknown service\n"), 1u) << said;
  EXPECT_EQ(lines_with(said, "\n"), 1u) << said;
}

TEST(OtlpExporter, CallsTheCollectorsMethod) {
  Collector collector({});
  Exporter exporter(collector.address(), "demo");
  exporter.push({example(), example()});
  EXPECT_TRUE(collector.wait_for_spans(2));
  EXPECT_EQ(collector.method(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
}

TEST(OtlpExporter, TriesAgainWhereTheSpecificationSaysSo) {
  Collector collector({.refusals = 2});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.first_pause = 10ms});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(1));
  }
  EXPECT_EQ(collector.attempts(), 3);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("takes no spans: not yet"), std::string::npos) << said;
  EXPECT_NE(said.find("takes spans again"), std::string::npos) << said;
}

/// google.rpc.Status with RetryInfo.
std::string details_of(std::int64_t seconds, std::int32_t nanos) {
  proto::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(seconds);
  info.mutable_retry_delay()->set_nanos(nanos);
  proto::StatusDetails details;
  details.add_details()->set_type_url("type.googleapis.com/google.rpc.DebugInfo");
  auto& detail = *details.add_details();
  detail.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  detail.set_value(info.SerializeAsString());
  return details.SerializeAsString();
}

TEST(OtlpRetry, ReadsWhatACollectorAsksFor) {
  const auto asked = [](const std::string& details) { return asked_pause({grpc::StatusCode::RESOURCE_EXHAUSTED, "full", details}); };
  EXPECT_EQ(asked(details_of(2, 500'000'000)), 2'500ms);
  EXPECT_EQ(asked(details_of(0, 1)), 1ms) << "no sooner than asked";
  EXPECT_EQ(asked(details_of(-5, -5)), 0ms);
  EXPECT_EQ(asked(details_of(std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int32_t>::max())), 1h);
  EXPECT_EQ(asked({}), std::nullopt);
  EXPECT_EQ(asked("\xff\xff google.rpc.RetryInfo"), std::nullopt);
}

// The numbers are those of google/rpc/status.proto, error_details.proto and google/protobuf/any.proto, duration.proto.
TEST(OtlpRetry, UsesTheFieldNumbersOfTheSpecification) {
  const std::string name = "type.googleapis.com/google.rpc.RetryInfo";
  const std::string any = std::string("\x0a\x28") + name + std::string("\x12\x06\x0a\x04\x08\x01\x10\x02", 8);
  EXPECT_EQ(asked_pause({grpc::StatusCode::UNAVAILABLE, "", "\x1a" + std::string(1, static_cast<char>(any.size())) + any}), 1'001ms);
}

TEST(OtlpExporter, TriesAgainWhenAFullCollectorSaysWhen) {
  Collector collector({.refusals = 1, .refusal = grpc::StatusCode::RESOURCE_EXHAUSTED, .details = details_of(0, 300'000'000)});
  testing::internal::CaptureStderr();
  const auto begin = std::chrono::steady_clock::now();
  {
    Exporter exporter(collector.address(), "demo", {.first_pause = 10ms});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(1));
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 300ms);
  EXPECT_EQ(collector.attempts(), 2);
  EXPECT_EQ(lines_with(testing::internal::GetCapturedStderr(), "did not reach"), 0u);
}

TEST(OtlpExporter, BoundsWhatAFullCollectorAsksFor) {
  Collector collector({.refusals = 1, .refusal = grpc::StatusCode::RESOURCE_EXHAUSTED, .details = details_of(3'600, 0)});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.first_pause = 10ms, .longest_pause = 20ms});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(1));
  }
  static_cast<void>(testing::internal::GetCapturedStderr());
}

TEST(OtlpExporter, GivesUpAFullCollectorThatDoesNotSayWhen) {
  Collector collector({.refusals = 1, .refusal = grpc::StatusCode::RESOURCE_EXHAUSTED});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.first_pause = 10ms});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_attempts(1));
  }
  EXPECT_EQ(collector.attempts(), 1);
  EXPECT_EQ(lines_with(testing::internal::GetCapturedStderr(), "ebb: 1 spans did not reach the collector"), 1u);
}

TEST(OtlpExporter, SendsHistogramsToACollectorThatTakesNoSpans) {
  Collector collector({.refusals = 1'000'000});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.first_pause = 1h, .longest_pause = 1h, .flush = 100ms});
    exporter.push(std::vector<service::SpanInfo>(5'000, example()));
    EXPECT_TRUE(collector.wait_for_attempts(1));
    for (int points = 1; points <= 3; ++points) {
      exporter.push(snapshot_of(1));
      EXPECT_TRUE(collector.wait_for_points(points)) << "in the pause between two attempts";
    }
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "ebb: 5000 spans did not reach the collector"), 1u) << said;
  EXPECT_EQ(lines_with(said, "histograms"), 0u) << said;
}

TEST(OtlpExporter, SaysThatTheLastHistogramsWereNotSent) {
  Collector collector({.hangs = true});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.request = 1h, .flush = 50ms});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_attempts(1));
    exporter.push(snapshot_of(1));
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "ebb: the last histograms did not reach the collector"), 1u) << said;
}

TEST(OtlpExporter, NamesEachRunAndNodeApart) {
  Collector collector({});
  for (int run = 1; run <= 2; ++run) {
    Exporter exporter(collector.address(), "demo");
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(run));
  }
  const std::vector<std::string> instances = collector.instances();
  ASSERT_EQ(instances.size(), 2u);
  for (const std::string& instance : instances) {
    EXPECT_EQ(instance.find_first_not_of("0123456789abcdef"), 16u) << instance;
    EXPECT_EQ(instance.substr(16), "/3");
  }
  EXPECT_NE(instances[0], instances[1]);
}

TEST(OtlpExporter, GoesThroughNoProxy) {
  Collector collector({});
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo");
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(1));
  }
  ::unsetenv("http_proxy");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(OtlpExporter, TriesAgainWhatIsNotAnsweredInTimeAndKeepsWhatThereIsRoomFor) {
  Collector collector({.hangs = true});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.request = 100ms, .first_pause = 10ms, .longest_pause = 10ms, .flush = 50ms});
    exporter.push(std::vector<service::SpanInfo>(1000, example()));
    EXPECT_TRUE(collector.wait_for_attempts(3)) << "the deadline of a request";
    for (std::size_t i = 0; i < 2 * Exporter::kMaxQueued / 1000; ++i) exporter.push(std::vector<service::SpanInfo>(1000, example()));
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "takes no spans: Deadline Exceeded"), 1u) << said;
  EXPECT_EQ(lines_with(said, "41000 spans did not reach the collector"), 1u) << said;
  EXPECT_EQ(lines_with(said, "\n"), 2u) << said;
}

TEST(OtlpExporter, KeepsWhatThereIsRoomForUntilTheCollectorTakesIt) {
  Collector collector({.refusals = 1'000'000});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.first_pause = 10ms, .longest_pause = 10ms, .flush = 20s});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_attempts(1));
    // What is under way takes room too.
    for (std::size_t i = 0; i < Exporter::kMaxQueued / 1000; ++i) exporter.push(std::vector<service::SpanInfo>(1000, example()));
    collector.accept();
    EXPECT_TRUE(collector.wait_for_spans(static_cast<int>(Exporter::kMaxQueued)));
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "ebb: 1 spans did not reach the collector"), 1u) << said;
}

TEST(OtlpExporter, EndsInTimeWhateverRequestIsUnderWay) {
  Collector collector({.hangs = true});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo", {.request = 1h, .flush = 50ms});
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_attempts(1));
  }  // an hour, if it waited
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "ebb: 1 spans did not reach the collector"), 1u) << said;
}

TEST(OtlpExporter, DoesNotSendAgainWhatTheCollectorRejects) {
  Collector collector({.rejects = 2, .message = "too old\nby a day\x1b[2J\u009b\u0085" "31m"});
  testing::internal::CaptureStderr();
  {
    Exporter exporter(collector.address(), "demo");
    exporter.push({example(), example(), example()});
    EXPECT_TRUE(collector.wait_for_spans(3));
    exporter.push({example()});
    EXPECT_TRUE(collector.wait_for_spans(4));
  }
  EXPECT_EQ(collector.attempts(), 2);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_with(said, "rejects 2 of 3 spans: too old?by a day?[2J??31m\n"), 1u) << said;
  EXPECT_EQ(lines_with(said, "rejected 3 spans\n"), 1u) << "of one span it cannot reject two: " << said;
  EXPECT_EQ(lines_with(said, "\n"), 2u) << said;
}

TEST(OtlpExporter, NeitherWaitsNorGrowsWhereNobodyListens) {
  testing::internal::CaptureStderr();
  const auto begin = std::chrono::steady_clock::now();
  {
    Exporter exporter("127.0.0.1:1", "demo", {.flush = 200ms});
    for (std::size_t i = 0; i < 3 * Exporter::kMaxQueued / 1000; ++i) exporter.push(std::vector<service::SpanInfo>(1000, example()));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s) << "the end waits for a collector that is not there";
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("60000 spans did not reach the collector 127.0.0.1:1"), std::string::npos) << said;
}

}  // namespace
}  // namespace ebb::frontend::otlp
