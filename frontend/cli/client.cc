// A gRPC client of the front end, and how its answers look.
#include "frontend/cli/client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "frontend/cli/connection.h"
#include "frontend/service/runtime_folder.h"
#include "multilibos/v1/cluster.grpc.pb.h"

namespace ebb::frontend::cli {
namespace {

namespace proto = ::multilibos::v1;

std::unique_ptr<proto::Cluster::Stub> connect(const std::string& address) { return proto::Cluster::NewStub(channel(address)); }

nlohmann::json to_json(const proto::Node& node) {
  return {{"id", node.id()}, {"driver", node.driver()}, {"cores", node.cores()}, {"endpoint", node.endpoint()},
          {"launch_seconds", node.launch_seconds()}, {"join_seconds", node.join_seconds()}};
}

}  // namespace

Result<std::string> choose_front_end(const std::string& wanted) {
  if (!wanted.empty()) return wanted.starts_with('/') ? "unix:" + wanted : wanted;
  const auto running = service::running_front_ends();
  if (running.size() == 1) return "unix:" + running.front().string();
  if (running.empty()) {
    return Error(Errc::not_found, "no front end of yours runs on this machine; start one, or name it with --frontend");
  }
  std::string text = "several front ends run, choose one with --frontend:";
  for (const auto& socket : running) text += " unix:" + socket.string();
  return Error(Errc::invalid_argument, text);
}

Result<void> print_nodes(const std::string& address, bool json) {
  Call call;
  proto::ListNodesResponse response;
  auto called = to_result(connect(address)->ListNodes(&call.context, {}, &response), address);
  if (!called) return called;
  if (json) {
    auto nodes = nlohmann::json::array();
    for (const auto& node : response.nodes()) nodes.push_back(to_json(node));
    std::puts(nlohmann::json{{"nodes", nodes}, {"epoch", response.epoch()}}.dump().c_str());
    return {};
  }
  std::printf("%5s  %-9s %5s  %-21s %9s %9s\n", "NODE", "DRIVER", "CORES", "ENDPOINT", "LAUNCH s", "JOIN s");
  for (const auto& node : response.nodes()) {
    std::printf("%5u  %-9s %5u  %-21s %9.3f %9.3f\n", node.id(), node.driver().c_str(), node.cores(),
                node.endpoint().c_str(), node.launch_seconds(), node.join_seconds());
  }
  return {};
}

namespace {

const char* to_text(proto::ObjectState state) {
  switch (state) {
    case proto::OBJECT_STATE_LIVE: return "live";
    case proto::OBJECT_STATE_MOVING: return "moving";
    case proto::OBJECT_STATE_LOST: return "lost";
    default: return "unknown";
  }
}

nlohmann::json to_json(const proto::Object& object) {
  return {{"id", object.id()}, {"interface", object.interface()}, {"name", object.name()}, {"home", object.home()},
          {"kind", object.kind()}, {"home_core", object.home_core()}, {"epoch", object.epoch()}, {"state", to_text(object.state())}};
}

nlohmann::json to_json(const proto::NodeObjects& node) {
  return {{"node", node.node()}, {"known", node.known()}, {"representatives", node.representatives()}, {"misses", node.misses()},
          {"found", node.found()}, {"asked", node.asked()}, {"failed", node.failed()}, {"mean_nanos", node.mean_nanos()},
          {"longest_nanos", node.longest_nanos()}};
}

void print(const google::protobuf::RepeatedPtrField<proto::NodeObjects>& nodes) {
  std::printf("%5s  %9s  %9s  %9s  %7s  %7s  %7s  %9s  %9s\n", "NODE", "KNOWN", "REPS", "MISSES", "FOUND", "ASKED", "FAILED", "MEAN us",
              "MOST us");
  for (const proto::NodeObjects& node : nodes) {
    std::printf("%5u  %9llu  %9llu  %9llu  %7llu  %7llu  %7llu  %9.3f  %9.1f\n", node.node(), static_cast<unsigned long long>(node.known()),
                static_cast<unsigned long long>(node.representatives()), static_cast<unsigned long long>(node.misses()),
                static_cast<unsigned long long>(node.found()), static_cast<unsigned long long>(node.asked()),
                static_cast<unsigned long long>(node.failed()), node.mean_nanos() / 1e3, static_cast<double>(node.longest_nanos()) / 1e3);
  }
}

}  // namespace

Result<void> print_objects(const std::string& address, bool json) {
  const auto stub = connect(address);
  auto all = nlohmann::json::array();
  auto nodes = nlohmann::json::array();
  std::vector<std::uint32_t> silent;
  proto::ListObjectsRequest request;
  for (bool more = true, first = true; more; first = false) {
    Call call;
    proto::ListObjectsResponse response;
    auto called = to_result(stub->ListObjects(&call.context, request, &response), address);
    if (!called) return called;
    for (const auto& node : response.nodes()) nodes.push_back(to_json(node));
    silent.insert(silent.end(), response.silent_nodes().begin(), response.silent_nodes().end());
    say_silent(response.silent_nodes());
    if (!json && first) {
      print(response.nodes());
      std::printf("\n%9s  %-12s  %7s  %5s  %-7s  %-32s %s\n", "OBJECT", "KIND", "HOME", "EPOCH", "STATE", "INTERFACE", "NAME");
    }
    for (const auto& object : response.objects()) {
      request.set_after_id(object.id());
      if (json) {
        all.push_back(to_json(object));
      } else {
        std::printf("%9u  %-12s  %7s  %5u  %-7s  %-32s %s\n", object.id(), object.kind().c_str(),
                    (std::to_string(object.home()) + "." + std::to_string(object.home_core())).c_str(), object.epoch(),
                    to_text(object.state()), object.interface().c_str(), object.name().c_str());
      }
    }
    more = response.more() && response.objects_size() > 0;
  }
  if (json) std::puts(nlohmann::json{{"objects", all}, {"nodes", nodes}, {"silent_nodes", silent}}.dump().c_str());
  return {};
}

Result<void> watch(const std::string& address, bool json) {
  grpc::ClientContext context;
  const auto stub = connect(address);
  const auto reader = stub->WatchMembership(&context, {});
  bool heard = false;
  for (proto::MembershipEvent event; reader->Read(&event); heard = true) {
    const bool joined = event.kind() == proto::MembershipEvent::KIND_JOINED;
    if (json) {
      std::puts(nlohmann::json{{"event", joined ? "joined" : "gone"}, {"node", to_json(event.node())},
                               {"reason", event.reason()}, {"epoch", event.epoch()}}.dump().c_str());
    } else {
      std::printf("epoch %llu: node %u %s%s%s\n", static_cast<unsigned long long>(event.epoch()), event.node().id(),
                  joined ? "joined" : "is gone", event.reason().empty() ? "" : ": ", event.reason().c_str());
    }
    if (std::fflush(stdout) != 0) {
      context.TryCancel();
      static_cast<void>(reader->Finish());
      return {};  // main() says that the output cannot be written
    }
  }
  const grpc::Status status = reader->Finish();
  // A front end that ends after it was heard is an ordinary end of watching.
  if (heard && status.error_code() == grpc::StatusCode::UNAVAILABLE) return {};
  return to_result(status, address);
}

}  // namespace ebb::frontend::cli
