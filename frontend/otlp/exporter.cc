#include "frontend/otlp/exporter.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "frontend/otlp/encode.h"
#include "frontend/otlp/retry.h"
#include "frontend/service/printable.h"

namespace ebb::frontend::otlp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kTraceMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr const char* kMetricsMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
// Spans, or histograms.
constexpr std::size_t kMostOfRequest = 2'000;

std::string random_run() {
  std::random_device random;
  char text[17];
  std::snprintf(text, sizeof text, "%08x%08x", random(), random());
  return text;
}

grpc::ChannelArguments channel_arguments(const Exporter::Limits& limits) {
  grpc::ChannelArguments arguments;
  // Unencrypted spans go to the collector and to nobody on the way.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // By itself a channel waits up to two minutes between its own attempts to connect, during which ours fail.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(limits.first_pause.count()));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(limits.request.count()));  // what connecting may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(limits.longest_pause.count()));
  return arguments;
}

}  // namespace

class Exporter::Impl {
 public:
  Impl(std::string endpoint, std::string service_name, const Limits& limits)
      : endpoint_(std::move(endpoint)), source_{std::move(service_name), random_run()}, limits_(limits),
        channel_(grpc::CreateCustomChannel(endpoint_, grpc::InsecureChannelCredentials(), channel_arguments(limits))),
        thread_([this] { run(); }) {}

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
    if (!snapshot_.methods.empty()) std::fprintf(stderr, "ebb: the last histograms did not reach the collector %s\n", endpoint_.c_str());
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
  void run() {
    while (wait_for_work()) {
      // One request of each in turn: neither holds up the other for long.
      send_methods();
      send_spans();
    }
    const std::lock_guard guard(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  /// False: nothing is left to do, or no time for it.
  bool wait_for_work() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return closing_ || !queue_.empty() || !snapshot_.methods.empty(); });
    return !out_of_time() && (!queue_.empty() || !snapshot_.methods.empty());
  }

  /// With mutex_.
  bool out_of_time() const { return closing_ && Clock::now() >= end_by_; }

  void send_methods() {
    service::MethodSnapshot part;
    {
      const std::lock_guard guard(mutex_);
      if (out_of_time()) return;
      part = {snapshot_.start_unix_ns, snapshot_.unix_ns, first_of(snapshot_.methods)};
    }
    if (!part.methods.empty()) send_once(part);
  }

  void send_spans() {
    std::vector<service::SpanInfo> batch;
    {
      const std::lock_guard guard(mutex_);
      if (out_of_time()) return;
      batch = first_of(queue_);
      being_sent_ = batch.size();
    }
    if (batch.empty()) return;
    const bool taken = send_until_taken(batch);
    const std::lock_guard guard(mutex_);
    being_sent_ = 0;
    if (!taken) dropped_ += batch.size();
  }

  /// False: another attempt would not help, or there is no time for it.
  bool send_until_taken(const std::vector<service::SpanInfo>& batch) {
    std::chrono::milliseconds pause = limits_.first_pause;
    for (;;) {
      multilibos::otlp::ExportTraceResponse response;
      const grpc::Status status = send(kTraceMethod, encode(batch, source_), &response);
      if (status.ok()) {
        if (std::exchange(away_, false)) std::fprintf(stderr, "ebb: the collector %s takes spans again\n", endpoint_.c_str());
        note_rejected(response, batch.size());
        return true;
      }
      if (!std::exchange(away_, true)) {
        std::fprintf(stderr, "ebb: the collector %s takes no spans: %s\n", endpoint_.c_str(),
                     service::printable(status.error_message()).c_str());
      }
      const std::chrono::milliseconds asked = asked_pause(status).value_or(pause);
      if (!may_help_later(status) || !wait(std::min(std::max(pause, asked), limits_.longest_pause))) return false;
      pause = std::min(2 * pause, limits_.longest_pause);
    }
  }

  void send_once(const service::MethodSnapshot& methods) {
    multilibos::otlp::ExportMetricsResponse response;
    const grpc::Status status = send(kMetricsMethod, encode(methods, source_), &response);
    const bool whole = status.ok() && response.partial_success().rejected_data_points() <= 0;
    if (whole == !std::exchange(metrics_missing_, !whole)) return;
    const std::string reason = status.ok() ? response.partial_success().error_message() : status.error_message();
    std::fprintf(stderr, "ebb: the collector %s takes %s\n", endpoint_.c_str(),
                 whole ? "metrics again" : ("no metrics, or not all: " + service::printable(reason)).c_str());
  }

  /// A success in part: the specification has the client not send what was rejected again.
  void note_rejected(const multilibos::otlp::ExportTraceResponse& response, std::size_t sent) {
    const auto& partial = response.partial_success();
    if (partial.rejected_spans() <= 0) return;
    const std::size_t rejected = std::min(sent, static_cast<std::size_t>(partial.rejected_spans()));
    if (rejected_ == 0) {
      std::fprintf(stderr, "ebb: the collector %s rejects %zu of %zu spans: %s\n", endpoint_.c_str(), rejected, sent,
                   service::printable(partial.error_message()).c_str());
    }
    rejected_ += rejected;
  }

  template <class T>
  static std::vector<T> first_of(std::vector<T>& queue) {
    const auto end = queue.begin() + static_cast<std::ptrdiff_t>(std::min(queue.size(), kMostOfRequest));
    std::vector<T> first(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
    queue.erase(queue.begin(), end);
    return first;
  }

  /// Sends the histograms that come meanwhile. The end cuts it short once. False: there is no time for another attempt.
  bool wait(std::chrono::milliseconds pause) {
    const Clock::time_point until = Clock::now() + pause;
    std::unique_lock guard(mutex_);
    for (const bool was_closing = closing_;;) {
      const auto changed = [this, was_closing] { return closing_ != was_closing || !snapshot_.methods.empty(); };
      changed_.wait_until(guard, was_closing ? std::min(until, end_by_) : until, changed);
      if (out_of_time()) return false;
      if (snapshot_.methods.empty()) return true;
      guard.unlock();
      send_methods();
      guard.lock();
    }
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
  const Source source_;
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
