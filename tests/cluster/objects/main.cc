// Calls between nodes as docs/architecture.md promises them, tried from an application. Prints what is broken and ends
// with 1, or with 0; run with each node driver.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cluster/check.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Place {
  NodeId node = kNoNode;
  CoreIndex core{};
  friend bool operator==(const Place&, const Place&) = default;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Probe {
  struct root {
    std::uint32_t made = 0;
  };
  explicit Probe(root& node_root) : shared(&node_root) { ++shared->made; }
  root* shared;

  Place place() const { return {this_node(), Core::current().index()}; }
  std::uint32_t made() const { return shared->made; }
  std::map<std::string, std::vector<std::uint8_t>> echo(std::map<std::string, std::vector<std::uint8_t>> value) { return value; }
  std::string join(std::string_view left, const std::string& right) { return std::string(left) + right; }
  void fail() { throw std::out_of_range("beyond the end"); }
  Result<std::int32_t> refuse() { return Error(Errc::resource_exhausted, "none left"); }
  task<std::int32_t> later(std::int32_t value) {
    co_await sleep_for(20ms);
    co_return value;
  }
  std::vector<std::byte> large(std::uint32_t size) { return std::vector<std::byte>(size); }
  /// Creates another object from wherever this runs, uses it there, and hands it over.
  task<Result<ref<Probe>>> offspring(std::string name);
  /// What another node has made under a name.
  task<Result<ref<Probe>>> found(std::string name);

  using interface = ebb::interface<
      "test.Probe/1", method<"place", &Probe::place>, method<"made", &Probe::made>, method<"echo", &Probe::echo>,
      method<"join", &Probe::join>, method<"fail", &Probe::fail>, method<"refuse", &Probe::refuse>,
      method<"later", &Probe::later>, method<"large", &Probe::large>, method<"offspring", &Probe::offspring>,
      method<"found", &Probe::found>>;
};

task<Result<ref<Probe>>> Probe::offspring(std::string name) {
  auto child = co_await create<Probe>(std::move(name));
  if (child) static_cast<void>((*child)->place());
  co_return child;
}

task<Result<ref<Probe>>> Probe::found(std::string name) { return find<Probe>(std::move(name)); }

struct Other {
  void nothing() {}
  using interface = ebb::interface<"test.Other/1", method<"nothing", &Other::nothing>>;
};

std::vector<Place> collected(std::vector<Place> places, Place place) {
  places.push_back(place);
  return places;
}

task<void> check_calls(ref<Probe> probe, std::vector<NodeStatus> nodes) {
  for (const NodeStatus& node : nodes) {
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      const auto place = co_await probe.on(node.id, CoreIndex(core)).call<&Probe::place>();
      CHECK(place && *place == (Place{node.id, CoreIndex(core)}));
    }
    const auto made = co_await probe.on(node.id).call<&Probe::made>();
    CHECK(made && *made == node.cores);  // one root a node, shared by its cores
    const std::map<std::string, std::vector<std::uint8_t>> value{{"", {}}, {"a", {1, 2, 3}}};
    const auto echoed = co_await probe.on(node.id).call<&Probe::echo>(value);
    CHECK(echoed && *echoed == value);
    const auto text = co_await probe.on(node.id).call<&Probe::join>("left", "right");
    CHECK(text && *text == "leftright");
    const auto later = co_await probe.on(node.id).call<&Probe::later>(7);
    CHECK(later && *later == 7);
  }
}

task<void> check_errors(ref<Probe> probe, NodeId node) {
  const auto failed = co_await probe.on(node).call<&Probe::fail>();
  CHECK(failed.code() == Errc::application_error && failed.error().text() == "std::out_of_range: beyond the end");
  const auto refused = co_await probe.on(node).call<&Probe::refuse>();
  CHECK(refused.code() == Errc::resource_exhausted && refused.error().text() == "none left");
  CHECK((co_await probe.on(node, CoreIndex{63}).call<&Probe::place>()).code() == Errc::not_found);
  CHECK((co_await probe.on(NodeId{999}).call<&Probe::place>()).code() == Errc::node_gone);
  CHECK((co_await probe.on(node).within(5ms).call<&Probe::later>(1)).code() == Errc::deadline_exceeded);
  CHECK((co_await probe.on(node).call<&Probe::large>(std::uint32_t{5} << 20)).code() == Errc::too_large);
  const auto large = co_await probe.on(node).call<&Probe::large>(std::uint32_t{3} << 20);
  CHECK(large && large->size() == std::size_t{3} << 20);
  CHECK((co_await open<Other>(probe.id())).code() == Errc::interface_mismatch);
  const auto stranger = co_await ref<Other>::unchecked(probe.id()).on(node).call<&Other::nothing>();
  CHECK(stranger.code() == Errc::no_such_method);
}

task<void> check_directory(ref<Probe> probe, std::vector<NodeStatus> nodes) {
  // Created on one backend, used from the front end and, through its reference, on another backend.
  const auto child = co_await probe.on(nodes.front().id).call<&Probe::offspring>("offspring");
  CHECK(child.has_value());
  if (!child) co_return;
  const auto found = co_await probe.on(nodes.back().id).call<&Probe::found>("offspring");
  CHECK(found && *found == *child);
  CHECK((co_await create<Probe>("offspring")).code() == Errc::already_exists);
  CHECK((*child)->place() == (Place{this_node(), Core::current().index()}));
  const auto there = co_await child->on(nodes.back().id, CoreIndex{0}).call<&Probe::place>();
  CHECK(there && *there == (Place{nodes.back().id, CoreIndex{0}}));
  const auto places = co_await child->reduce<&Probe::place>(std::vector<Place>(), collected);
  CHECK(places && std::is_sorted(places->begin(), places->end()));
  CHECK(places && places->size() == (nodes.size() > 1 ? 3u : 2u));
  CHECK((co_await destroy(*child)).has_value());
  for (const NodeStatus& node : nodes) {
    CHECK((co_await child->on(node.id).call<&Probe::place>()).code() == Errc::no_such_object);
  }
  CHECK((co_await open<Probe>(child->id())).code() == Errc::no_such_object);
  CHECK((co_await probe.on(nodes.back().id).call<&Probe::found>("offspring")).code() == Errc::no_such_object);
  CHECK((co_await destroy(*child)).code() == Errc::no_such_object);
}

inline constexpr static_object<Probe, 64> kProbe;

task<void> check_static(std::vector<NodeStatus> nodes) {
  for (const NodeStatus& node : nodes) {
    const auto place = co_await kProbe.on(node.id, CoreIndex{0}).call<&Probe::place>();
    CHECK(place && *place == (Place{node.id, CoreIndex{0}}));
  }
  const auto places = co_await kProbe.reduce<&Probe::place>(std::vector<Place>(), collected);
  CHECK(places && places->size() == nodes.size());
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const auto probe = (co_await create<Probe>()).value();
  co_await check_calls(probe, nodes);
  co_await check_errors(probe, nodes.front().id);
  co_await check_directory(probe, nodes);
  co_await check_static(nodes);
  // All cores of all backends hold one, and nobody else does.
  const auto places = co_await probe.reduce<&Probe::place>(std::vector<Place>(), collected);
  std::size_t cores = 0;
  for (const NodeStatus& node : nodes) cores += node.cores;
  CHECK(places && places->size() == cores && std::is_sorted(places->begin(), places->end()));
  (co_await app.nodes().remove(nodes.front().id)).value();
  CHECK((co_await probe.on(nodes.front().id).call<&Probe::place>()).code() == Errc::node_gone);
  const auto rest = co_await probe.reduce<&Probe::place>(std::vector<Place>(), collected);
  CHECK(rest && rest->size() == cores - nodes.front().cores);
  CHECK((co_await destroy(probe)).has_value());
  co_return ebb::test::conclude();
}
