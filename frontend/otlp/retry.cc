#include "frontend/otlp/retry.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "multilibos/otlp/retry.pb.h"

namespace ebb::frontend::otlp {
namespace {

constexpr std::chrono::seconds kMostPause = std::chrono::hours(1);

}  // namespace

std::optional<std::chrono::milliseconds> asked_pause(const grpc::Status& status) {
  multilibos::otlp::StatusDetails details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& detail : details.details()) {
    multilibos::otlp::RetryInfo info;
    if (!detail.type_url().ends_with("/google.rpc.RetryInfo") || !info.ParseFromString(detail.value())) continue;
    const std::int64_t seconds = std::clamp<std::int64_t>(info.retry_delay().seconds(), 0, kMostPause.count());
    const std::int32_t nanos = std::clamp(info.retry_delay().nanos(), 0, 999'999'999);
    const auto pause = std::min<std::chrono::nanoseconds>(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos), kMostPause);
    return std::chrono::ceil<std::chrono::milliseconds>(pause);
  }
  return std::nullopt;
}

bool may_help_later(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS: return true;
    // Only a collector that says when can have room again.
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return asked_pause(status).has_value();
    default: return false;
  }
}

}  // namespace ebb::frontend::otlp
