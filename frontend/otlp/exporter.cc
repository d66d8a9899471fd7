#include "frontend/otlp/exporter.h"

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
using namespace std::chrono_literals;

constexpr const char* kMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr std::size_t kMostOfRequest = 2'000;
constexpr auto kRequestLimit = 10s;
constexpr auto kFirstPause = 500ms;
constexpr auto kLongestPause = 30s;
constexpr auto kFlushLimit = 2s;

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

}  // namespace

class Exporter::Impl {
 public:
  Impl(std::string endpoint, std::string service_name)
      : endpoint_(std::move(endpoint)), service_name_(std::move(service_name)),
        stub_(grpc::CreateChannel(endpoint_, grpc::InsecureChannelCredentials())), thread_([this] { run(); }) {}

  ~Impl() {
    {
      const std::lock_guard guard(mutex_);
      end_by_ = Clock::now() + kFlushLimit;
      closing_ = true;
    }
    changed_.notify_all();
    thread_.join();
    if (dropped_ + queue_.size() != 0) {
      std::fprintf(stderr, "ebb: %zu spans did not reach the collector %s\n", dropped_ + queue_.size(), endpoint_.c_str());
    }
  }

  void push(std::vector<service::SpanInfo> spans) noexcept {
    {
      const std::lock_guard guard(mutex_);
      const std::size_t room = kMaxQueued - queue_.size();
      const std::size_t taken = std::min(room, spans.size());
      dropped_ += spans.size() - taken;
      queue_.insert(queue_.end(), std::make_move_iterator(spans.begin()),
                    std::make_move_iterator(spans.begin() + static_cast<std::ptrdiff_t>(taken)));
    }
    changed_.notify_all();
  }

 private:
  void run() {
    auto pause = std::chrono::milliseconds(kFirstPause);
    for (;;) {
      std::vector<service::SpanInfo> batch = next();
      if (batch.empty()) return;
      for (;;) {
        const grpc::Status status = send(batch);
        if (status.ok()) {
          if (std::exchange(away_, false)) std::fprintf(stderr, "ebb: the collector %s takes spans again\n", endpoint_.c_str());
          pause = kFirstPause;
          break;
        }
        if (!std::exchange(away_, true)) {
          std::fprintf(stderr, "ebb: the collector %s takes no spans: %s\n", endpoint_.c_str(), status.error_message().c_str());
        }
        if (!may_help_later(status.error_code()) || !wait(pause)) {
          const std::lock_guard guard(mutex_);
          dropped_ += batch.size();
          break;
        }
        pause = std::min<std::chrono::milliseconds>(2 * pause, kLongestPause);
      }
    }
  }

  /// Waits for spans; none: the end.
  std::vector<service::SpanInfo> next() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return closing_ || !queue_.empty(); });
    if (closing_ && Clock::now() >= end_by_) return {};
    const std::size_t count = std::min(queue_.size(), kMostOfRequest);
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<service::SpanInfo> batch(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
    return batch;
  }

  /// False: there is no time for another attempt.
  bool wait(std::chrono::milliseconds pause) {
    std::unique_lock guard(mutex_);
    const bool was_closing = closing_;
    const auto until = was_closing ? std::min(Clock::now() + pause, end_by_) : Clock::now() + pause;
    changed_.wait_until(guard, until, [this, was_closing] { return closing_ != was_closing; });
    return !closing_ || Clock::now() < end_by_;
  }

  grpc::Status send(const std::vector<service::SpanInfo>& spans) {
    const multilibos::otlp::ExportTraceRequest request = encode(spans, service_name_);
    multilibos::otlp::ExportTraceResponse response;
    grpc::ClientContext context;
    Clock::time_point limit = Clock::now() + kRequestLimit;
    {
      const std::lock_guard guard(mutex_);
      if (closing_) limit = std::min(limit, end_by_);
    }
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(limit - Clock::now()));
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call = stub_.PrepareUnaryCall(&context, kMethod, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    return status;
  }

  const std::string endpoint_;
  const std::string service_name_;
  std::mutex mutex_;  // guards what follows up to stub_
  std::condition_variable changed_;
  std::vector<service::SpanInfo> queue_;
  std::size_t dropped_ = 0;
  bool closing_ = false;
  Clock::time_point end_by_;
  bool away_ = false;  // the thread's
  grpc::TemplatedGenericStub<multilibos::otlp::ExportTraceRequest, multilibos::otlp::ExportTraceResponse> stub_;
  std::thread thread_;  // last: it uses all of the above
};

Exporter::Exporter(std::string endpoint, std::string service_name)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(service_name))) {}
Exporter::~Exporter() = default;

void Exporter::push(std::vector<service::SpanInfo> spans) noexcept { impl_->push(std::move(spans)); }

}  // namespace ebb::frontend::otlp
