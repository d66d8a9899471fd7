#include "frontend/cluster/membership.h"

#include <algorithm>
#include <utility>

namespace ebb::frontend::cluster {
namespace {

double seconds(platform::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

service::NodeInfo to_info(const NodeStatus& status) {
  return {status.id, status.driver, status.cores, platform::to_string(status.endpoint), seconds(status.launch),
          seconds(status.join)};
}

Result<std::vector<NodeId>> Membership::reserve(std::size_t count, const std::string& driver, platform::Instant now) {
  constexpr std::size_t kMostBackends = kMaxNodes - 1;
  if (count > kMostBackends || backends_.size() > kMostBackends - count) {
    return Error(Errc::resource_exhausted, "a cluster has at most " + std::to_string(kMostBackends) + " backends; it has " +
                                               std::to_string(backends_.size()) + ", so ask for fewer than " +
                                               std::to_string(count) + " more");
  }
  if (count > to_number(kNoNode) - next_id_) {
    return Error(Errc::resource_exhausted, "all node ids have been given out; start the front end again");
  }
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < count; ++i) {
    const NodeId id{next_id_++};
    Backend& backend = backends_[id];
    backend.status.id = id;
    backend.status.driver = driver;
    backend.requested = now;
    ids.push_back(id);
  }
  return ids;
}

void Membership::launched(NodeId id, platform::Instant now) {
  const auto found = backends_.find(id);
  if (found == backends_.end()) return;
  Backend& backend = found->second;
  backend.launched = now;
  backend.status.launch = now - backend.requested;
  if (backend.stage == Stage::launching) {
    backend.stage = Stage::expected;
  } else {
    // It had joined before its driver returned: all of its time was launch.
    backend.status.join = {};
  }
}

Result<void> Membership::admit(const Member& candidate) {
  const std::string name = "node " + std::to_string(to_number(candidate.id));
  const auto found = backends_.find(candidate.id);
  if (found == backends_.end()) {
    return Error(Errc::permission_denied, name + " was not started by this front end, or has ended; nodes join only once");
  }
  Backend& backend = found->second;
  if (backend.admitted || backend.stage == Stage::joined || backend.stage == Stage::leaving) {
    return Error(Errc::permission_denied, name + " joins or has joined already; nodes join only once");
  }
  backend.admitted = true;
  return {};
}

void Membership::revoke(NodeId id) {
  const auto found = backends_.find(id);
  if (found != backends_.end()) found->second.admitted = false;
}

service::MembershipChange Membership::join(const Member& member, platform::Instant now) {
  Backend& backend = backends_.at(member.id);
  backend.stage = Stage::joined;
  backend.status.cores = member.cores;
  backend.status.endpoint = member.endpoint;
  if (backend.launched) {
    backend.status.join = now - *backend.launched;
  } else {
    backend.status.launch = now - backend.requested;
  }
  return {true, to_info(backend.status), {}, ++epoch_};
}

bool Membership::leave(NodeId id) {
  const auto found = backends_.find(id);
  if (found == backends_.end() || found->second.stage != Stage::joined) return false;
  found->second.stage = Stage::leaving;
  return true;
}

std::optional<service::MembershipChange> Membership::end(NodeId id, std::string reason) {
  const auto found = backends_.find(id);
  if (found == backends_.end()) return std::nullopt;
  const Backend backend = std::move(found->second);
  backends_.erase(found);
  if (backend.stage != Stage::joined && backend.stage != Stage::leaving) return std::nullopt;
  return service::MembershipChange{false, to_info(backend.status), std::move(reason), ++epoch_};
}

std::optional<Stage> Membership::stage(NodeId id) const {
  const auto found = backends_.find(id);
  if (found == backends_.end()) return std::nullopt;
  return found->second.stage;
}

std::optional<NodeStatus> Membership::status(NodeId id) const {
  const auto found = backends_.find(id);
  if (found == backends_.end()) return std::nullopt;
  return found->second.status;
}

std::vector<NodeStatus> Membership::members() const {
  std::vector<NodeStatus> result;
  for (const auto& [id, backend] : backends_) {
    if (backend.stage == Stage::joined) result.push_back(backend.status);
  }
  return result;
}

}  // namespace ebb::frontend::cluster
