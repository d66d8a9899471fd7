#include "frontend/otlp/exporter.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>

#include "frontend/otlp/encode.h"

namespace ebb::frontend::otlp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kTraceMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr const char* kMetricsMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
// Spans, or histograms.
constexpr std::size_t kMostOfRequest = 2'000;
// Of what a collector says.
constexpr std::size_t kMostOfMessage = 200;

/// Those after which the specification has the client try again.
bool may_help_later(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS: return true;
    default: return false;
  }
}

/// In one line, and without what a terminal obeys.
std::string one_line(std::string message) {
  if (message.size() > kMostOfMessage) message.resize(kMostOfMessage);
  for (char& character : message) {
    if (static_cast<unsigned char>(character) < ' ' || character == '\x7f') character = ' ';
  }
  return message;
}

}  // namespace

class Exporter::Impl {
 public:
  Impl(std::string endpoint, std::string service_name, const Limits& limits)
      : endpoint_(std::move(endpoint)), service_name_(std::move(service_name)), limits_(limits),
        channel_(grpc::CreateChannel(endpoint_, grpc::InsecureChannelCredentials())), thread_([this] { run(); }) {}

  ~Impl() {
    {
      std::unique_lock guard(mutex_);
      end_by_ = Clock::now() + limits_.flush;
      closing_ = true;
      changed_.notify_all();
      const bool in_time = changed_.wait_until(guard, end_by_, [this] { return ended_; });
      // A request that began before may have longer than that; those that follow have not.
      if (!in_time && under_way_ != nullptr) under_way_->TryCancel();
    }
    thread_.join();
    const std::size_t missing = dropped_ + queue_.size();
    if (missing != 0) std::fprintf(stderr, "ebb: %zu spans did not reach the collector %s\n", missing, endpoint_.c_str());
    if (rejected_ != 0) std::fprintf(stderr, "ebb: the collector %s rejected %zu spans\n", endpoint_.c_str(), rejected_);
  }

  void push(std::vector<service::SpanInfo> spans) noexcept {
    {
      const std::lock_guard guard(mutex_);
      const std::size_t room = kMaxQueued - queue_.size() - being_sent_;
      const std::size_t taken = std::min(room, spans.size());
      dropped_ += spans.size() - taken;
      queue_.insert(queue_.end(), std::make_move_iterator(spans.begin()),
                    std::make_move_iterator(spans.begin() + static_cast<std::ptrdiff_t>(taken)));
    }
    changed_.notify_all();
  }

  void push(service::MethodSnapshot snapshot) noexcept {
    {
      const std::lock_guard guard(mutex_);
      snapshot_ = std::move(snapshot);
    }
    changed_.notify_all();
  }

 private:
  /// What goes into one request; nothing at the end.
  struct Batch {
    std::vector<service::SpanInfo> spans;
    service::MethodSnapshot methods;  // where there are no spans
    bool empty() const noexcept { return spans.empty() && methods.methods.empty(); }
  };

  void run() {
    for (Batch batch = next(); !batch.empty(); batch = next()) {
      if (batch.spans.empty()) {
        send_once(batch.methods);
        continue;
      }
      const bool taken = send_until_taken(batch.spans);
      const std::lock_guard guard(mutex_);
      being_sent_ = 0;
      if (!taken) dropped_ += batch.spans.size();
    }
    const std::lock_guard guard(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  /// False: another attempt would not help, or there is no time for it.
  bool send_until_taken(const std::vector<service::SpanInfo>& batch) {
    std::chrono::milliseconds pause = limits_.first_pause;
    for (;;) {
      multilibos::otlp::ExportTraceResponse response;
      const grpc::Status status = send(kTraceMethod, encode(batch, service_name_), &response);
      if (status.ok()) {
        if (std::exchange(away_, false)) std::fprintf(stderr, "ebb: the collector %s takes spans again\n", endpoint_.c_str());
        note_rejected(response, batch.size());
        return true;
      }
      if (!std::exchange(away_, true)) {
        std::fprintf(stderr, "ebb: the collector %s takes no spans: %s\n", endpoint_.c_str(), one_line(status.error_message()).c_str());
      }
      if (!may_help_later(status.error_code()) || !wait(pause)) return false;
      pause = std::min(2 * pause, limits_.longest_pause);
    }
  }

  void send_once(const service::MethodSnapshot& methods) {
    multilibos::otlp::ExportMetricsResponse response;
    const grpc::Status status = send(kMetricsMethod, encode(methods, service_name_), &response);
    const bool whole = status.ok() && response.partial_success().rejected_data_points() <= 0;
    if (whole == !std::exchange(metrics_missing_, !whole)) return;
    const std::string reason = status.ok() ? response.partial_success().error_message() : status.error_message();
    std::fprintf(stderr, "ebb: the collector %s takes %s\n", endpoint_.c_str(),
                 whole ? "metrics again" : ("no metrics, or not all: " + one_line(reason)).c_str());
  }

  /// A success in part: the specification has the client not send what was rejected again.
  void note_rejected(const multilibos::otlp::ExportTraceResponse& response, std::size_t sent) {
    const auto& partial = response.partial_success();
    if (partial.rejected_spans() <= 0) return;
    const std::size_t rejected = std::min(sent, static_cast<std::size_t>(partial.rejected_spans()));
    if (rejected_ == 0) {
      std::fprintf(stderr, "ebb: the collector %s rejects %zu of %zu spans: %s\n", endpoint_.c_str(), rejected, sent,
                   one_line(partial.error_message()).c_str());
    }
    rejected_ += rejected;
  }

  /// Waits for what is to be sent.
  Batch next() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return closing_ || !queue_.empty() || !snapshot_.methods.empty(); });
    if (closing_ && Clock::now() >= end_by_) return {};
    Batch batch{first_of(queue_), {snapshot_.start_unix_ns, snapshot_.unix_ns, {}}};
    being_sent_ = batch.spans.size();
    if (batch.spans.empty()) batch.methods.methods = first_of(snapshot_.methods);
    return batch;
  }

  template <class T>
  static std::vector<T> first_of(std::vector<T>& queue) {
    const auto end = queue.begin() + static_cast<std::ptrdiff_t>(std::min(queue.size(), kMostOfRequest));
    std::vector<T> first(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
    queue.erase(queue.begin(), end);
    return first;
  }

  /// False: there is no time for another attempt.
  bool wait(std::chrono::milliseconds pause) {
    std::unique_lock guard(mutex_);
    const bool was_closing = closing_;
    const auto until = was_closing ? std::min(Clock::now() + pause, end_by_) : Clock::now() + pause;
    changed_.wait_until(guard, until, [this, was_closing] { return closing_ != was_closing; });
    return !closing_ || Clock::now() < end_by_;
  }

  template <class Request, class Response>
  grpc::Status send(const char* method, const Request& request, Response* response) {
    grpc::TemplatedGenericStub<Request, Response> stub(channel_);
    grpc::ClientContext context;
    Clock::time_point limit = Clock::now() + limits_.request;
    {
      const std::lock_guard guard(mutex_);
      if (closing_) limit = std::min(limit, end_by_);
      under_way_ = &context;
    }
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(limit - Clock::now()));
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
    call->StartCall();
    call->Finish(response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    const std::lock_guard guard(mutex_);
    under_way_ = nullptr;
    return status;
  }

  const std::string endpoint_;
  const std::string service_name_;
  const Limits limits_;
  std::mutex mutex_;  // guards what follows up to away_
  std::condition_variable changed_;
  std::vector<service::SpanInfo> queue_;
  service::MethodSnapshot snapshot_;  // what of the newest has not been sent
  std::size_t being_sent_ = 0;
  std::size_t dropped_ = 0;
  bool closing_ = false;
  bool ended_ = false;
  Clock::time_point end_by_;
  grpc::ClientContext* under_way_ = nullptr;
  bool away_ = false;          // the thread's, as what follows
  std::size_t rejected_ = 0;
  bool metrics_missing_ = false;
  const std::shared_ptr<grpc::Channel> channel_;
  std::thread thread_;  // last: it uses all of the above
};

Exporter::Exporter(std::string endpoint, std::string service_name, const Limits& limits)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(service_name), limits)) {}
Exporter::~Exporter() = default;

void Exporter::push(std::vector<service::SpanInfo> spans) noexcept { impl_->push(std::move(spans)); }
void Exporter::push(service::MethodSnapshot snapshot) noexcept { impl_->push(std::move(snapshot)); }

}  // namespace ebb::frontend::otlp
