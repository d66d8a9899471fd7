#include "frontend/service/status.h"

namespace ebb::frontend::service {

grpc::Status to_status(const Error& error) {
  grpc::StatusCode code = grpc::StatusCode::INTERNAL;
  switch (error.code()) {
    case Errc::not_found:
    case Errc::no_such_object: code = grpc::StatusCode::NOT_FOUND; break;
    case Errc::invalid_argument: code = grpc::StatusCode::INVALID_ARGUMENT; break;
    case Errc::resource_exhausted:
    case Errc::overloaded: code = grpc::StatusCode::RESOURCE_EXHAUSTED; break;
    case Errc::permission_denied: code = grpc::StatusCode::PERMISSION_DENIED; break;
    case Errc::deadline_exceeded: code = grpc::StatusCode::DEADLINE_EXCEEDED; break;
    case Errc::unavailable:
    case Errc::node_gone: code = grpc::StatusCode::UNAVAILABLE; break;
    case Errc::cancelled: code = grpc::StatusCode::CANCELLED; break;
    default: break;
  }
  return {code, error.text()};
}

}  // namespace ebb::frontend::service
