// Translates between the protocol buffers of cluster.proto and ClusterControl.
#include "frontend/service/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>

#include "frontend/service/observe_service.h"
#include "frontend/service/printable.h"
#include "frontend/service/status.h"
#include "multilibos/v1/cluster.grpc.pb.h"

namespace ebb::frontend::service {
namespace {

namespace proto = ::multilibos::v1;

constexpr std::uint32_t kMaxObjectsPerAnswer = 1000;
/// Each watcher holds one thread, so that many stay for everybody else.
constexpr int kMaxThreads = static_cast<int>(MembershipFeed::kMaxWatchers) + 16;
constexpr auto kShutdownLimit = std::chrono::seconds(2);

void fill(const NodeInfo& from, proto::Node& to) {
  to.set_id(to_number(from.id));
  to.set_driver(from.driver);
  to.set_cores(from.cores);
  to.set_endpoint(from.endpoint);
  to.set_launch_seconds(from.launch_seconds);
  to.set_join_seconds(from.join_seconds);
}

proto::ObjectState to_proto(ObjectInfo::State state) {
  switch (state) {
    case ObjectInfo::State::live: return proto::OBJECT_STATE_LIVE;
    case ObjectInfo::State::moving: return proto::OBJECT_STATE_MOVING;
    case ObjectInfo::State::lost: return proto::OBJECT_STATE_LOST;
  }
  return proto::OBJECT_STATE_UNSPECIFIED;
}

class ClusterService final : public proto::Cluster::Service {
 public:
  ClusterService(ClusterControl& control, MembershipFeed& feed) : control_(control), feed_(feed) {}

  grpc::Status ListNodes(grpc::ServerContext*, const proto::ListNodesRequest*,
                         proto::ListNodesResponse* response) override {
    auto membership = control_.membership();
    if (!membership) return to_status(membership.error());
    for (const auto& node : membership->nodes) fill(node, *response->add_nodes());
    response->set_epoch(membership->epoch);
    return grpc::Status::OK;
  }

  grpc::Status AddNodes(grpc::ServerContext*, const proto::AddNodesRequest* request,
                        proto::AddNodesResponse* response) override {
    if (request->count() == 0) return {grpc::StatusCode::INVALID_ARGUMENT, "ask for one node at least"};
    auto nodes = control_.add_nodes(request->count());
    if (!nodes) return to_status(nodes.error());
    for (const auto& node : *nodes) fill(node, *response->add_nodes());
    return grpc::Status::OK;
  }

  grpc::Status RemoveNode(grpc::ServerContext*, const proto::RemoveNodeRequest* request,
                          proto::RemoveNodeResponse*) override {
    const NodeId node{request->id()};
    if (node == kFrontEndNode) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "node 0 is the front end; end its program instead"};
    }
    auto removed = control_.remove_node(node);
    return removed ? grpc::Status::OK : to_status(removed.error());
  }

  grpc::Status ListObjects(grpc::ServerContext*, const proto::ListObjectsRequest* request,
                           proto::ListObjectsResponse* response) override {
    const std::uint32_t limit =
        request->limit() == 0 ? kMaxObjectsPerAnswer : std::min(request->limit(), kMaxObjectsPerAnswer);
    auto objects = control_.objects(ObjectId(request->after_id()), limit + 1);
    if (!objects) return to_status(objects.error());
    for (const auto& object : *objects) {
      if (static_cast<std::uint32_t>(response->objects_size()) == limit) {
        response->set_more(true);
        break;
      }
      auto& added = *response->add_objects();
      added.set_id(object.id.index());
      added.set_interface(printable(object.interface));
      added.set_name(printable(object.name));
      added.set_home(to_number(object.home));
      added.set_kind(printable(object.kind));
      added.set_home_core(to_number(object.home_core));
      added.set_epoch(object.epoch);
      added.set_state(to_proto(object.state));
    }
    if (request->after_id() != 0) return grpc::Status::OK;
    auto counts = control_.object_counts();
    if (!counts) return to_status(counts.error());
    for (const NodeObjects& node : counts->nodes) {
      auto& added = *response->add_nodes();
      added.set_node(to_number(node.node));
      added.set_known(node.known);
      added.set_representatives(node.representatives);
      added.set_misses(node.misses);
      added.set_found(node.found);
      added.set_asked(node.asked);
      added.set_failed(node.failed);
      added.set_mean_nanos(node.mean_nanos);
      added.set_longest_nanos(node.longest_nanos);
    }
    for (const NodeId node : counts->silent) response->add_silent_nodes(to_number(node));
    return grpc::Status::OK;
  }

  grpc::Status WatchMembership(grpc::ServerContext* context, const proto::WatchMembershipRequest*,
                               grpc::ServerWriter<proto::MembershipEvent>* writer) override {
    // First the watcher, then the members: what changes in between comes twice rather than never.
    auto watcher = feed_.watch();
    if (!watcher) return to_status(watcher.error());
    auto membership = control_.membership();
    if (!membership) return to_status(membership.error());
    for (const auto& node : membership->nodes) {
      if (!write(*writer, {true, node, {}, membership->epoch})) return grpc::Status::CANCELLED;
    }
    while (!context->IsCancelled()) {
      MembershipChange change;
      switch ((*watcher)->next(change)) {
        case MembershipFeed::Watcher::State::change:
          if (change.epoch > membership->epoch && !write(*writer, change)) return grpc::Status::CANCELLED;
          break;
        case MembershipFeed::Watcher::State::nothing_yet: break;
        case MembershipFeed::Watcher::State::fell_behind:
          return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many changes were missed; watch again"};
        case MembershipFeed::Watcher::State::closed:
          return {grpc::StatusCode::UNAVAILABLE, "the front end ends"};
      }
    }
    return grpc::Status::CANCELLED;
  }

 private:
  static bool write(grpc::ServerWriter<proto::MembershipEvent>& writer, const MembershipChange& change) {
    proto::MembershipEvent event;
    event.set_kind(change.joined ? proto::MembershipEvent::KIND_JOINED : proto::MembershipEvent::KIND_GONE);
    fill(change.node, *event.mutable_node());
    event.set_reason(printable(change.reason));
    event.set_epoch(change.epoch);
    return writer.Write(event);
  }

  ClusterControl& control_;
  MembershipFeed& feed_;
};

class GrpcServer final : public Server {
 public:
  GrpcServer(ClusterControl& control, ObserveControl& observation, MembershipFeed& feed)
      : feed_(feed), service_(control, feed), observe_(observation) {}

  ~GrpcServer() override {
    feed_.close();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kShutdownLimit);
  }

  Result<void> start(const std::vector<std::string>& addresses) {
    // gRPC prints what it also returns; one line of ours is enough.
    gpr_set_log_function([](gpr_log_func_args*) {});
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    // Without this two front ends share a port, and each gets half of the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetResourceQuota(grpc::ResourceQuota("service").SetMaxThreads(kMaxThreads));
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    std::vector<int> ports(addresses.size(), 0);
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      builder.AddListeningPort(addresses[i], grpc::InsecureServerCredentials(), &ports[i]);
    }
    builder.RegisterService(&service_);
    builder.RegisterService(&observe_);
    server_ = builder.BuildAndStart();
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      if (server_ == nullptr && ports[i] == 0) {
        return Error(Errc::address_in_use, "cannot serve gRPC on " + addresses[i] +
                                               ": the port is in use or not of this machine; choose another one");
      }
    }
    if (server_ == nullptr) return Error(Errc::unavailable, "the gRPC server does not start");
    return {};
  }

 private:
  MembershipFeed& feed_;
  ClusterService service_;
  ObserveService observe_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> start_server(const std::vector<std::string>& addresses, ClusterControl& control,
                                             ObserveControl& observation, MembershipFeed& feed) {
  auto server = std::make_unique<GrpcServer>(control, observation, feed);
  if (auto started = server->start(addresses); !started) return std::move(started).error();
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace ebb::frontend::service
