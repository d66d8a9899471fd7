// What the tests ask of a front end beside the command `ebb`: health, reflection, adding and removing nodes.
// usage: service_client ADDRESS health | services | add COUNT | remove ID. One line per answer; exit status 1 for an error.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "multilibos/v1/cluster.grpc.pb.h"

namespace {

namespace proto = ::multilibos::v1;
using Channel = std::shared_ptr<grpc::Channel>;

constexpr auto kLimit = std::chrono::seconds(60);

int fail(const grpc::Status& status) {
  std::printf("error %d %s\n", static_cast<int>(status.error_code()), status.error_message().c_str());
  return 1;
}

/// One message there, one back, as bytes: Debian's gRPC comes without the headers of these two services.
grpc::Status exchange(const Channel& channel, const std::string& method, const std::string& request, std::string& response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kLimit);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool done = false;
  const grpc::Slice slice(request);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall(nullptr);
  queue.Next(&tag, &done);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &done);
  call->Read(&answer, nullptr);
  queue.Next(&tag, &done);
  call->Finish(&status, nullptr);
  queue.Next(&tag, &done);
  grpc::Slice whole;
  if (status.ok() && answer.DumpToSingleSlice(&whole).ok()) response.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  return status;
}

int health(const Channel& channel) {
  std::string response;
  if (auto status = exchange(channel, "/grpc.health.v1.Health/Check", "", response); !status.ok()) return fail(status);
  // HealthCheckResponse{status: SERVING}
  std::puts(response == std::string("\x08\x01", 2) ? "serving" : "not serving");
  return 0;
}

int services(const Channel& channel) {
  std::string response;
  // ServerReflectionRequest{list_services: "*"}
  auto status = exchange(channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "\x3a\x01*", response);
  if (!status.ok()) return fail(status);
  for (const char* name : {"multilibos.v1.Cluster", "grpc.health.v1.Health"}) {
    if (response.find(name) != std::string::npos) std::puts(name);
  }
  return 0;
}

int add(const Channel& channel, std::uint32_t count) {
  grpc::ClientContext context;
  proto::AddNodesRequest request;
  request.set_count(count);
  proto::AddNodesResponse response;
  const auto status = proto::Cluster::NewStub(channel)->AddNodes(&context, request, &response);
  if (!status.ok()) return fail(status);
  for (const auto& node : response.nodes()) std::printf("node %u\n", node.id());
  return 0;
}

int remove(const Channel& channel, std::uint32_t id) {
  grpc::ClientContext context;
  proto::RemoveNodeRequest request;
  request.set_id(id);
  proto::RemoveNodeResponse response;
  const auto status = proto::Cluster::NewStub(channel)->RemoveNode(&context, request, &response);
  return status.ok() ? 0 : fail(status);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  const std::string command = argv[2];
  if (command == "health") return health(channel);
  if (command == "services") return services(channel);
  if (command == "add" && argc == 4) return add(channel, static_cast<std::uint32_t>(std::stoul(argv[3])));
  if (command == "remove" && argc == 4) return remove(channel, static_cast<std::uint32_t>(std::stoul(argv[3])));
  return 2;
}
