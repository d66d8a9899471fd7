// The gRPC server of a front end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontend/service/cluster_control.h"
#include "frontend/service/membership_feed.h"
#include "frontend/service/observation.h"

namespace ebb::frontend::service {

/// Serves multilibos.v1.Cluster and Observe, health (grpc.health.v1) and reflection. Any thread; its own threads are bounded.
class Server {
 public:
  virtual ~Server() = default;  // ends open streams, waits for calls under way (bounded)
};

/// `addresses`: "unix:/path" or "127.0.0.1:50051". address_in_use names the address that is taken. `control`,
/// `observation` and `feed` must outlive the server. Call from a thread that is not tied to one CPU.
Result<std::unique_ptr<Server>> start_server(const std::vector<std::string>& addresses, ClusterControl& control,
                                             ObserveControl& observation, MembershipFeed& feed);

}  // namespace ebb::frontend::service
