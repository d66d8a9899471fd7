#include "tests/sim/cluster.h"

#include <cstdio>
#include <cstdlib>

#include <algorithm>

#include "ebb/async/sleep.h"
#include "ebb/object/create.h"
#include "ebb/object/directory.h"
#include "ebb/object/node_table.h"
#include "src/node/following_directory.h"
#include "tests/sim/constructions.h"

namespace ebb::sim {
namespace {

constexpr platform::Duration kLook = std::chrono::milliseconds(50);
/// Of how many backends' clients the pauses are.
constexpr std::size_t kUsualBackends = 14;

}  // namespace

Cluster::Cluster(World& world, std::size_t cores, Work front_end, Work backend)
    : world_(world), cores_(cores), front_end_(std::move(front_end)), backend_(std::move(backend)) {
  for (std::byte& byte : key_) byte = static_cast<std::byte>(world.random()());
  const std::uint32_t number = world_.add("front", cores_, [this] { return run_front_end(this); });
  if (number != kFrontEndNumber) std::abort();
}

std::uint32_t Cluster::add_backend() {
  const auto number = static_cast<std::uint32_t>(world_.nodes() + 1);
  backends.insert(number);
  return world_.add("node" + std::to_string(number - 1), cores_, [this, number] { return run_backend(this, number); });
}

platform::Duration Cluster::pause(platform::Duration least, platform::Duration most) {
  const auto ticks = static_cast<platform::Duration::rep>(
      world_.pick(static_cast<std::uint64_t>(least.count()), static_cast<std::uint64_t>(most.count())));
  return among_all(platform::Duration(ticks));
}

platform::Duration Cluster::among_all(platform::Duration pause) const {
  return pause * std::max(backends.size(), kUsualBackends) / kUsualBackends;
}

task<void> Cluster::dismiss(Cluster* self, NodeId leaver) {
  const std::uint32_t number = number_of(leaver);
  self->world_.say("node " + std::to_string(to_number(leaver)) + " is asked to leave");
  self->dismissed.insert(number);
  const Result<void> left = co_await Node::current()->ask_to_stop(leaver);
  co_await Node::current()->remove_member(leaver, "it was asked to leave");
  if (left) co_return;
  self->harmed.insert(number);
  self->world_.crash(number, true);
}

void Cluster::on_lost(NodeId member, const Error& reason) {
  lost[member] = reason.text();
  world_.say("lost node " + std::to_string(to_number(member)) + ": " + reason.text());
  if (drivers_report_ends && !world_.alive(number_of(member))) Node::current()->member_ended(member);
}

task<int> Cluster::run_front_end(Cluster* self) {
  auto list = self->ids ? make_memory_directory(kFirstDynamicObject.index() + self->ids->count, {.grace = self->ids->grace})
                        : make_memory_directory();
  note_constructions_by(list.get());
  NodeTable::instance().set_directory(make_front_end_directory(std::move(list)));
  if (self->ids) NodeTable::instance().set_forget_after(self->ids->forget);
  const NodeOptions options{kFrontEndNode, self->key_, {address_of(kFrontEndNumber), kPort}, self};
  auto started = co_await Node::start(options);
  if (!started) {
    // No promise has been broken: this program is none that could run.
    std::fprintf(stderr, "the front end does not start: %s\n", started.error().to_string().c_str());
    std::_Exit(3);
  }
  const std::unique_ptr<Node> node = std::move(started).value();
  self->front_end_up = true;
  co_await work_on(self, &self->front_end_, kFrontEndNumber);
  while (!self->destroying) co_await sleep_for(kLook);
  co_await destroy_all(self);
  while (!self->at_rest) co_await sleep_for(kLook);
  co_await self->at_rest(self);
  co_await node->close();
  note_constructions_by(nullptr);
  co_await NodeTable::instance().clear();
  co_return 0;
}

task<void> Cluster::work_on(Cluster* self, const Work* work, std::uint32_t number) {
  self->working.insert(number);
  co_await (*work)(self);
  self->working.erase(number);
}

task<void> Cluster::destroy_all(Cluster* self) {
  for (;;) {
    const auto records = co_await NodeTable::instance().directory().list(ObjectId{}, Directory::kMaxListed);
    if (!records) self->not_destroyed = "the directory does not list them: " + records.error().to_string();
    if (!records) co_return;
    if (records->empty()) break;
    bool failed = false;
    for (const ObjectRecord& each : *records) {
      self->being_destroyed = "object " + std::to_string(each.id.index()) + ", a " + each.interface_name;
      const Result<void> ended = co_await detail::destroy(each.id, detail::TypeRegistration::find(each.interface_id));
      if (ended) {
        self->ended_at_rest.push_back(each.id);
      } else {
        self->not_destroyed = self->being_destroyed + ": " + ended.error().to_string();
        failed = true;
      }
    }
    // So that time passes, and the run comes to its end, where that does not help.
    if (failed) co_await sleep_for(kLook);
  }
  self->destroyed = self->not_destroyed.empty();
}

task<int> Cluster::run_backend(Cluster* self, std::uint32_t number) {
  NodeTable::instance().set_directory(make_backend_directory());
  if (self->ids) NodeTable::instance().set_forget_after(self->ids->forget);
  while (!self->front_end_up) co_await sleep_for(kLook);
  const NodeOptions options{id_of(number), self->key_, {address_of(number), 0}, nullptr};
  auto started = co_await Node::start(options);
  const std::unique_ptr<Node> node = std::move(started).value();
  Result<void> joined;
  for (int attempt = 0; attempt < 20; ++attempt) {
    joined = co_await node->join({address_of(kFrontEndNumber), kPort});
    if (joined) break;
    co_await sleep_for(kLook);
  }
  if (!joined) {
    platform::write_log("did not join: " + joined.error().to_string());
    co_return 72;
  }
  Scope work;
  work.spawn(work_on(self, &self->backend_, number));
  const Result<void> stopped = co_await node->stopped();
  if (!stopped) platform::write_log("ends: " + stopped.error().to_string());
  // What still runs ends with the process, as it would in a real node.
  platform::exit_node(stopped ? 0 : 72);
}

}  // namespace ebb::sim
