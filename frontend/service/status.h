// Errors as gRPC says them.
#pragma once

#include <grpcpp/support/status.h>

#include "ebb/base/result.h"

namespace ebb::frontend::service {

grpc::Status to_status(const Error& error);

}  // namespace ebb::frontend::service
