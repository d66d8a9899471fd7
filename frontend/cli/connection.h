// How the commands reach a front end, and what they say when they do not.
#pragma once

#include <google/protobuf/repeated_field.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "ebb/base/result.h"
#include "frontend/service/printable.h"

namespace ebb::frontend::cli {

/// A call that waits for its answer no longer than a person would.
struct Call {
  Call() { context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10)); }
  grpc::ClientContext context;
};

inline std::shared_ptr<grpc::Channel> channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // What is not encrypted goes to the front end and to nobody on the way.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

/// On stderr: the table, or the JSON, is for whoever reads it on.
inline void say_silent(const google::protobuf::RepeatedField<std::uint32_t>& nodes) {
  for (const std::uint32_t node : nodes) std::fprintf(stderr, "ebb: node %u did not answer\n", node);
}

/// unavailable: there is no front end; else what it said.
inline Result<void> to_result(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return {};
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return Error(Errc::unavailable, "the front end at " + address + " does not answer; does its program still run?");
  }
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return Error(Errc::unavailable, "what answers at " + address + " is no front end, or an older one");
  }
  return Error(Errc::internal, "the front end at " + address + " says: " + service::printable_line(status.error_message()));
}

}  // namespace ebb::frontend::cli
