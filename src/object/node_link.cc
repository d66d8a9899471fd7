#include "ebb/object/node_link.h"

#include <atomic>
#include <string>
#include <utility>

#include "ebb/async/core.h"

namespace ebb {
namespace {
// Release when set, before any core calls; acquire where read, because other cores follow it.
constinit std::atomic<detail::NodeLink*> current_link{nullptr};
}  // namespace

NodeId this_node() noexcept {
  const detail::NodeLink* link = detail::node_link();
  return link == nullptr ? kFrontEndNode : link->self();
}

bool is_member(NodeId node) {
  const detail::NodeLink* link = detail::node_link();
  return link == nullptr ? node == kFrontEndNode : link->is_member(node);
}

namespace detail {

ClusterView cluster_view() {
  if (const NodeLink* link = node_link()) return link->view();
  return {1, {{kFrontEndNode, static_cast<std::uint16_t>(Core::count()), false}}};
}

std::uint64_t cluster_view_version() noexcept {
  const NodeLink* link = node_link();
  return link == nullptr ? 1 : link->view_version();
}

void require_lease() {
  const NodeLink* link = node_link();
  if (link == nullptr || link->has_lease()) return;
  throw ErrorException(Error(Errc::moved, "node " + std::to_string(to_number(this_node())) +
                                              " has not heard from the front end and does not answer until it has"));
}

void require_lease_still() {
  const NodeLink* link = node_link();
  if (link == nullptr || link->has_lease()) return;
  throw ErrorException(Error(Errc::node_gone, "node " + std::to_string(to_number(this_node())) +
                                                  " lost touch with the front end while the call ran"));
}

void set_node_link(NodeLink* link) noexcept { current_link.store(link, std::memory_order_release); }
NodeLink* node_link() noexcept { return current_link.load(std::memory_order_acquire); }

task<Result<Bytes>> call_elsewhere(NodeId node, CoreIndex core, ObjectId object, std::uint64_t method,
                                   platform::Duration timeout, Bytes arguments) {
  NodeLink* link = node_link();
  if (link == nullptr) {
    co_return Error(Errc::node_gone, "this program is no cluster, so there is no node " + std::to_string(to_number(node)));
  }
  co_return co_await link->call(node, core, object, method, timeout, std::move(arguments));
}

}  // namespace detail
}  // namespace ebb
