// Sends spans to a collector that speaks the OpenTelemetry protocol.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontend/service/observation.h"

namespace ebb::frontend::otlp {

/// OTLP over gRPC [OpenTelemetry Protocol Specification 1.x, "OTLP/gRPC"], without encryption. Has a thread of its own: whoever
/// hands spans over never waits. A collector that is away is tried again with growing pauses; meanwhile kMaxQueued spans are
/// kept, and those beyond are dropped and counted. One line on stderr says when that begins.
class Exporter {
 public:
  static constexpr std::size_t kMaxQueued = 20'000;

  /// `endpoint`: "host:port". `service_name`: what the collector shows them under.
  Exporter(std::string endpoint, std::string service_name);
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;
  /// Gives what is queued two seconds more.
  ~Exporter();

  /// Any thread.
  void push(std::vector<service::SpanInfo> spans) noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ebb::frontend::otlp
