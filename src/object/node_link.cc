#include "ebb/object/node_link.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/on_core.h"
#include "ebb/async/timed_completion.h"
#include "ebb/base/node_local.h"
#include "src/object/closing.h"

namespace ebb {
namespace {

/// An event that waits for another view: of its core, except for its place in the list.
struct ViewWaiter {
  explicit ViewWaiter(platform::Duration at_most) : done(at_most) {}
  const CoreIndex core = Core::current().index();
  detail::TimedCompletion done;
};

struct Links {
  // Release when set, before any core calls; acquire where read, because other cores follow it.
  std::atomic<detail::NodeLink*> current{nullptr};
  std::atomic<bool> closing{false};  // relaxed: seen a little later is as good
  std::mutex mutex;                                   // guards the list
  std::vector<std::shared_ptr<ViewWaiter>> waiters;   // bounded by the objects that follow the membership
};
detail::NodeLocal<Links> links;
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

bool has_core(NodeId node, CoreIndex core) {
  if (node == this_node()) return is_member(node) && to_number(core) < Core::count();
  for (const ClusterView::Node& each : cluster_view().nodes) {
    if (each.id == node) return to_number(core) < each.cores;
  }
  return false;
}

bool is_leaving(NodeId node) {
  if (node == kFrontEndNode) return false;
  const ClusterView view = cluster_view();
  return std::any_of(view.nodes.begin(), view.nodes.end(), [node](const auto& each) { return each.id == node && each.leaving; });
}

task<void> wait_for_view_change(std::uint64_t version, platform::Duration at_most, cancel_token given_up) {
  const auto waiter = std::make_shared<ViewWaiter>(at_most);
  {
    const std::lock_guard guard(links->mutex);
    links->waiters.push_back(waiter);
  }
  // It may have changed before the waiter was in the list.
  if (cluster_view_version() != version) waiter->done.complete();
  const cancel_callback settle(given_up, [waiter] { waiter->done.complete(); });
  co_await waiter->done;
  const std::lock_guard guard(links->mutex);
  std::erase(links->waiters, waiter);
}

void notify_view_changed() {
  std::vector<std::shared_ptr<ViewWaiter>> woken;
  {
    const std::lock_guard guard(links->mutex);
    woken.swap(links->waiters);
  }
  for (const auto& waiter : woken) {
    spawn_on_when_room(waiter->core, [waiter] { waiter->done.complete(); });
  }
}

void require_lease() {
  const NodeLink* link = node_link();
  if (link == nullptr || link->has_lease()) return;
  throw ErrorException(Error::refusal(Errc::moved, "node " + std::to_string(to_number(this_node())) +
                                                       " has not heard from the front end and does not answer until it has"));
}

void require_lease_still() {
  const NodeLink* link = node_link();
  if (link == nullptr || link->has_lease()) return;
  throw ErrorException(Error(Errc::node_gone, "node " + std::to_string(to_number(this_node())) +
                                                  " lost touch with the front end while the call ran"));
}

void set_node_link(NodeLink* link) noexcept {
  if (link != nullptr) links->closing.store(false, std::memory_order_relaxed);
  links->current.store(link, std::memory_order_release);
}
void note_closing() noexcept { links->closing.store(true, std::memory_order_relaxed); }
bool is_closing() noexcept { return links->closing.load(std::memory_order_relaxed); }
NodeLink* node_link() noexcept { return links->current.load(std::memory_order_acquire); }

namespace {

// Pauses double from the first to the longest one.
constexpr platform::Duration kFirstPause = std::chrono::milliseconds(1);
constexpr int kLongestPause = 6;  // 64 ms

Error no_cluster(NodeId node) {
  return Error::refusal(Errc::node_gone,
                        "this program is no cluster, so there is no node " + std::to_string(to_number(node)) + "; nothing ran");
}

}  // namespace

Error with_method(Error error, const MethodLabel& method) {
  if (error.code() != Errc::no_such_method || method.name.empty()) return error;
  return Error::refusal(Errc::no_such_method, error.text() + " (called: \"" + std::string(method.name) + "\" of " +
                                                  std::string(method.interface_name) + ")");
}

task<bool> pause_before_retry(int attempt, platform::Instant deadline) {
  // Callers that were turned away together do not come back together.
  std::array<std::byte, 1> random{};
  platform::fill_random(random);
  const platform::Duration pause = kFirstPause * (1 << std::min(attempt, kLongestPause));
  const platform::Instant until = platform::Clock::now() + pause + pause / 4 * static_cast<int>(random[0]) / 256;
  if (until >= deadline) co_return false;
  co_await sleep_until(until);
  co_return platform::Clock::now() < deadline;  // it may have slept longer
}

task<Result<Bytes>> call_elsewhere(RemoteCall call, Bytes arguments) {
  NodeLink* link = node_link();
  if (link == nullptr) co_return no_cluster(call.node);
  co_return co_await link->call(std::move(call), std::move(arguments));
}

task<Result<Bytes>> call_elsewhere(NodeId node, CoreIndex core, ObjectId object, std::uint64_t method,
                                   platform::Duration timeout, Bytes arguments) {
  RemoteCall call;
  call.node = node;
  call.core = core;
  call.object = object;
  call.method = method;
  call.timeout = timeout;
  return call_elsewhere(std::move(call), std::move(arguments));
}

task<Result<void>> send_elsewhere(RemoteCall call, Bytes arguments) {
  NodeLink* link = node_link();
  if (link == nullptr) co_return no_cluster(call.node);
  co_return co_await link->send(std::move(call), std::move(arguments));
}

}  // namespace detail
}  // namespace ebb
