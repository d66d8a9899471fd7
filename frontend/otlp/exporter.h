// Sends spans and histograms to a collector that speaks the OpenTelemetry protocol.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/service/observation.h"

namespace ebb::frontend::otlp {

/// OTLP over gRPC [OpenTelemetry Protocol Specification 1.x, "OTLP/gRPC"], without encryption. Has a thread of its own: whoever
/// hands spans over never waits. A collector that is away, or that does not answer in time, is tried again with growing pauses (or
/// those that it asks for); meanwhile kMaxQueued spans are kept, and those beyond are dropped and counted. What it rejects of
/// a request is not sent again. Of histograms the newest are kept, and each is sent once: those that follow say all that they
/// do. They go before spans, and between attempts at spans. One line on stderr says when failing begins, when it is over (of
/// each of the two), when the collector first rejects spans, and at the end which spans, and whether the last histograms, it
/// has not got.
class Exporter {
 public:
  /// Spans kept, those of the request under way included.
  static constexpr std::size_t kMaxQueued = 20'000;

  struct Limits {
    std::chrono::milliseconds request = std::chrono::seconds(10);      ///< for an answer
    std::chrono::milliseconds first_pause{500};                        ///< between attempts; then twice as long each time
    std::chrono::milliseconds longest_pause = std::chrono::seconds(30);
    std::chrono::milliseconds flush = std::chrono::seconds(2);         ///< for what is left at the end
  };

  /// `endpoint`: "host:port". `service_name`: what the collector shows them under.
  Exporter(std::string endpoint, std::string service_name) : Exporter(std::move(endpoint), std::move(service_name), Limits()) {}
  Exporter(std::string endpoint, std::string service_name, const Limits& limits);
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;
  /// Waits for what is queued, as long as Limits::flush says.
  ~Exporter();

  /// Any thread.
  void push(std::vector<service::SpanInfo> spans) noexcept;
  void push(service::MethodSnapshot snapshot) noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ebb::frontend::otlp
