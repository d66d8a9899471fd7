// Which failures of a request the protocol has a client try again after.
#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>

namespace ebb::frontend::otlp {

/// What the collector asks to be left alone for (google.rpc.RetryInfo); none if it does not say, or nonsense. At most an hour.
std::optional<std::chrono::milliseconds> asked_pause(const grpc::Status& status);

/// Whether another attempt may succeed [OpenTelemetry Protocol Specification 1.x, "OTLP/gRPC Response"].
bool may_help_later(const grpc::Status& status);

}  // namespace ebb::frontend::otlp
