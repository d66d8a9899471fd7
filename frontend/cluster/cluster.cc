#include "frontend/cluster/cluster.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "ebb/async/when_all.h"
#include "ebb/platform/platform.h"

namespace ebb::frontend::cluster {
namespace {

// How long stop_all() waits for drivers that do not answer. Whatever still runs then ends with this process.
constexpr platform::Duration kStopAllLimit = std::chrono::seconds(20);

std::string named(NodeId id) { return "node " + std::to_string(to_number(id)); }

std::string in_seconds(platform::Duration duration) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.3f s", std::chrono::duration<double>(duration).count());
  return text.data();
}

Error closing() { return Error(Errc::cancelled, "the front end ends; no node joins it any more"); }

}  // namespace

Cluster::Cluster(ClusterSettings settings, DriverFactory factory, Workers& workers, service::MembershipFeed& feed,
                 Output output)
    : settings_(std::move(settings)),
      factory_(std::move(factory)),
      workers_(workers),
      feed_(feed),
      output_(std::move(output)),
      console_(output_.progress) {}

Cluster::~Cluster() {
  // Calls of the driver that are under way refer to this.
  workers_.drain();
}

void Cluster::set_node(Node& node) { node_ = &node; }

nodes::NodeSpec Cluster::spec(NodeId id) const {
  nodes::NodeSpec result = settings_.node;
  result.id = id;
  if (node_ != nullptr) result.frontend = node_->local();
  return result;
}

std::shared_ptr<Cluster::Run> Cluster::run_of(NodeId id) const {
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : found->second;
}

// --- starting ---

task<Result<void>> Cluster::prepare() { return ready_driver(); }

task<Result<void>> Cluster::ready_driver() {
  const auto permit = co_await driver_making_.acquire();
  if (driver_ != nullptr) co_return Result<void>();
  auto make = [this, observer = static_cast<nodes::DriverObserver*>(this)] { return factory_(*observer); };
  auto made = co_await workers_.run(make);
  if (!made) co_return std::move(made).error();
  driver_ = *std::move(made);
  co_return Result<void>();
}

task<Result<std::vector<NodeId>>> Cluster::add(std::size_t count) {
  if (closing_) co_return closing();
  if (count == 0) co_return std::vector<NodeId>();
  const platform::Instant begin = platform::Clock::now();
  if (auto ready = co_await ready_driver(); !ready) co_return std::move(ready).error();
  // Named, here and below: gcc 12 destroys the captures of a temporary in a co_await expression twice (bug 99576).
  auto check = [this, example = spec(NodeId{1}), count] { return driver_->check(example, count); };
  auto checked = co_await workers_.run(check);
  if (!checked) co_return std::move(checked).error();
  if (closing_) co_return closing();
  auto ids = membership_.reserve(count, settings_.driver, platform::Clock::now());
  if (!ids) co_return std::move(ids).error();
  std::vector<task<Result<void>>> starts;
  for (const NodeId id : *ids) {
    runs_[id] = std::make_shared<Run>();
    starts.push_back(start(id));
  }
  std::optional<Error> failure;
  for (const Result<void>& started : co_await when_all(std::move(starts))) {
    if (!started && !failure) failure = started.error();
  }
  if (!failure) {
    output_.progress("ebb: " + std::to_string(count) + (count == 1 ? " node has" : " nodes have") + " joined after " +
                     in_seconds(platform::Clock::now() - begin));
    co_return ids;
  }
  std::vector<task<void>> ends;
  for (const NodeId id : *ids) ends.push_back(take_down(id, true, "another node that was asked for with it did not start"));
  co_await when_all(std::move(ends));
  co_return *std::move(failure);
}

task<Result<void>> Cluster::start(NodeId id) {
  const std::shared_ptr<Run> run = run_of(id);
  auto launch = [this, node = spec(id)] { return driver_->start(node); };
  auto started = co_await workers_.run(launch);
  if (!started) co_return started;
  run->started = true;
  membership_.launched(id, platform::Clock::now());
  if (closing_) fail(*run, closing());
  if (!co_await run->settled.wait(settings_.join_limit)) {
    fail(*run, Error(Errc::deadline_exceeded, named(id) + " did not join within " + in_seconds(settings_.join_limit) +
                                                  console_.tail(id)));
  }
  if (run->failure) co_return *run->failure;
  if (after_join_) co_await after_join_(id);
  co_return Result<void>();
}

void Cluster::fail(Run& run, Error error) {
  if (run.settled.happened()) return;
  run.failure = std::move(error);
  run.settled.happen();
}

// --- membership, as the node asks and tells ---

Result<void> Cluster::admit(const Member& candidate) {
  if (closing_) return closing();
  const auto run = run_of(candidate.id);
  if (run != nullptr && run->failure) return Error(Errc::permission_denied, named(candidate.id) + " comes too late to join");
  return membership_.admit(candidate);
}

void Cluster::on_joined(const Member& member) {
  const auto run = run_of(member.id);
  // It may have ended, or been given up, while it joined; whoever noticed takes it down.
  if (run == nullptr || run->failure || run->ended.happened()) return;
  feed_.publish(membership_.join(member, platform::Clock::now()));
  run->settled.happen();
}

task<void> Cluster::before_stop(NodeId member) {
  if (const auto run = run_of(member)) run->may_end = true;
  if (before_stop_) co_await before_stop_(member);
}

void Cluster::on_lost(NodeId member, const Error& reason) {
  if (membership_.leave(member)) {
    scope_.spawn(lost(member, reason.text()));
  } else {
    membership_.revoke(member);
  }
}

// --- ends ---

void Cluster::on_console_line(NodeId node, std::string_view line) { console_.add(node, line); }

void Cluster::on_ended(NodeId node, std::string reason) {
  post_surely(CoreIndex{0}, [this, node, reason] { ended(node, reason); });
}

void Cluster::ended(NodeId id, std::string reason) {
  const auto run = run_of(id);
  if (run == nullptr) return;
  if (std::string panic = console_.panic(id); !panic.empty()) reason = std::move(panic);
  run->end_reason = reason;
  run->ended.happen();
  fail(*run, Error(Errc::node_gone, named(id) + " ended before it had joined: " + reason + console_.tail(id)));
  if (membership_.leave(id)) {
    scope_.spawn(lost(id, std::move(reason)));
  } else if (membership_.stage(id) == Stage::leaving && !run->may_end) {
    scope_.spawn(lost_while_it_drains(id, named(id) + ": " + reason));
  }
}

/// What it has is as lost as if it had not been asked to leave; who asked it hears that at once, and does the rest.
task<void> Cluster::lost_while_it_drains(NodeId id, std::string reason) {
  co_await node_->remove_member(id, std::move(reason));
  node_->member_ended(id);
}

void Cluster::report_lost(NodeId id, const std::string& reason) {
  has_lost_ = true;
  output_.alert("ebb: " + named(id) + " is gone: " + reason);
}

/// A member is gone without having been asked. The caller has made it leave.
task<void> Cluster::lost(NodeId id, std::string reason) {
  const auto run = run_of(id);
  run->lost = true;
  if (co_await run->ended.wait(settings_.reason_limit)) reason = run->end_reason;
  report_lost(id, reason);
  co_await node_->remove_member(id, named(id) + ": " + reason);
  co_await kill(id, run);
  finish(id, reason);
}

/// Takes a node down that has not ended by itself, and waits for it.
task<void> Cluster::kill(NodeId id, std::shared_ptr<Run> run) {
  run->may_end = true;
  if (!run->started || run->ended.happened()) co_return;
  auto stop = [this, id] { return driver_->stop(id); };
  Result<void> stopped = co_await workers_.run(stop);
  const bool gone = stopped || stopped.code() == Errc::not_found;
  run->surely_ended = gone;
  if (!gone) output_.alert("ebb: " + stopped.error().text());
  // Its driver has reported its end by now, or never will.
  static_cast<void>(co_await run->ended.wait(gone ? settings_.stop_limit : platform::Duration{1}));
}

/// Ends a member in order, if it still can. One that turns out to be dead is reported: this may be the first to notice.
task<void> Cluster::ask_to_stop(NodeId id, std::shared_ptr<Run> run) {
  const Result<void> asked = co_await node_->ask_to_stop(id);
  const bool ended = co_await run->ended.wait(asked ? settings_.stop_limit : settings_.reason_limit);
  if (!asked) {
    run->lost = true;
    report_lost(id, ended ? run->end_reason : asked.error().text());
  } else if (const std::string panic = console_.panic(id); !panic.empty()) {
    output_.alert("ebb: " + named(id) + " did not end in order: " + panic);
  }
}

task<void> Cluster::take_down(NodeId id, bool orderly, std::string reason) {
  const auto run = run_of(id);
  if (run == nullptr) co_return;
  if (membership_.leave(id)) {
    if (orderly) co_await ask_to_stop(id, run);
  } else if (membership_.stage(id) == Stage::leaving) {
    co_return;  // somebody else is at it
  }
  co_await kill(id, run);
  co_await node_->remove_member(id, named(id) + ": " + reason);
  finish(id, reason);
}

void Cluster::finish(NodeId id, const std::string& reason) {
  const auto run = run_of(id);
  if (run != nullptr && (run->surely_ended || run->ended.happened())) node_->member_ended(id);
  if (auto change = membership_.end(id, reason)) feed_.publish(*change);
  runs_.erase(id);
  console_.forget(id);
  if (run != nullptr) run->finished.happen();
  if (closing_ && runs_.empty()) all_ended_.happen();
}

task<Result<void>> Cluster::remove(NodeId id) {
  const auto run = run_of(id);
  if (run != nullptr && membership_.stage(id) == Stage::leaving) {
    co_await run->finished.wait();  // somebody else is at it
    co_return Result<void>();
  }
  if (membership_.stage(id) != Stage::joined) {
    co_return Error(Errc::not_found, "the cluster has no " + named(id) + "; ebb nodes lists those it has");
  }
  co_await take_down(id, true, "it was removed");
  co_return Result<void>();
}

task<void> Cluster::stop_all() {
  const platform::Instant begin = platform::Clock::now();
  closing_ = true;
  std::vector<std::shared_ptr<Run>> stopping;
  for (const auto& [id, run] : runs_) stopping.push_back(run);
  if (node_ != nullptr) node_->abandon_homes();
  std::vector<task<void>> ends;
  for (const auto& [id, run] : runs_) {
    // Those that have not joined are taken down by the add() that waits for them.
    if (membership_.stage(id) == Stage::joined) ends.push_back(take_down(id, true, "the front end ends"));
    if (run->started) fail(*run, closing());
  }
  co_await when_all(std::move(ends));
  if (!runs_.empty() && !co_await all_ended_.wait(kStopAllLimit)) {
    output_.alert("ebb: " + std::to_string(runs_.size()) + " nodes have not ended after 20 s; they end with this process");
  }
  co_await scope_.join();
  const auto count = std::count_if(stopping.begin(), stopping.end(), [](const auto& run) { return !run->lost; });
  if (count != 0) {
    output_.progress("ebb: " + std::to_string(count) + (count == 1 ? " node has" : " nodes have") + " stopped after " +
                     in_seconds(platform::Clock::now() - begin));
  }
}

}  // namespace ebb::frontend::cluster
