// States that are larger than a message move between nodes: of a home, of a partition, and to new replicas. With at least two
// backends.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"

namespace {

using namespace ebb;

constexpr std::uint32_t kWords = 3'000'000;  // 12 MB: three messages would not do

/// Words that tell a part that is missing, twice there, or in the wrong place.
struct Hoard {
  std::vector<std::uint32_t> words;
  void fill(std::uint32_t count) {
    words.resize(count);
    for (std::uint32_t i = 0; i < count; ++i) words[i] = i * 2654435761U;
  }
  std::uint64_t digest() const {
    std::uint64_t digest = words.size();
    for (const std::uint32_t word : words) digest = digest * 1099511628211U + word;
    return digest;
  }
  NodeId place() const { return this_node(); }
  std::vector<std::uint32_t> save() const { return words; }
  void restore(std::vector<std::uint32_t> state) { words = std::move(state); }
};

struct Home : Hoard {
  using policy = single_home;
  using interface = ebb::interface<"test.Home/1", method<"fill", &Home::fill>, method<"digest", &Home::digest>, method<"place", &Home::place>>;
};
struct Replica : Hoard {
  using policy = replicated;
  using interface = ebb::interface<"test.Replica/1", method<"fill", &Replica::fill>, method<"digest", &Replica::digest>>;
};
struct Part : Hoard {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 1;
  using interface = ebb::interface<"test.Part/1", method<"fill", &Part::fill>, method<"digest", &Part::digest>, method<"place", &Part::place>>;
};

/// Drops a home from the memory of its node.
struct Keeper {
  task<Result<std::uint32_t>> drop_home(ref<Home> home) { return drop(home); }
  task<Result<std::uint32_t>> drop_replica(ref<Replica> replica) { return drop(replica); }
  using interface = ebb::interface<"test.Keeper/1", method<"drop_home", &Keeper::drop_home>, method<"drop_replica", &Keeper::drop_replica>>;
};

std::uint64_t expected() {
  Hoard hoard;
  hoard.fill(kWords);
  return hoard.digest();
}

task<void> check_home(NodeId from, NodeId to) {
  const auto home = (co_await create_at<Home>(from)).value();
  CHECK((co_await home.call<&Home::fill>(kWords)).has_value());
  const auto keeper = (co_await create<Keeper>()).value();
  CHECK((co_await keeper.on(from).call<&Keeper::drop_home>(home)).value() == 1);
  CHECK((co_await home.call<&Home::digest>()).value() == expected());
  CHECK((co_await keeper.on(from).call<&Keeper::drop_home>(home)).value() == 1);
  const auto moved = co_await migrate(home, to, CoreIndex{1});
  CHECK(moved.has_value());
  if (!moved) std::fprintf(stderr, "%s\n", moved.error().to_string().c_str());
  CHECK((co_await home.call<&Home::place>()).value() == to);
  CHECK((co_await home.call<&Home::digest>()).value() == expected());
  CHECK((co_await destroy(home)).has_value());
}

task<void> check_replicas(NodeId from) {
  const auto replica = (co_await create_at<Replica>(from)).value();
  CHECK((co_await replica.call<&Replica::fill>(kWords)).has_value());
  // This core's replica comes from the home's.
  CHECK(replica->digest() == expected());
  CHECK((co_await drop(replica)).value() == 1);
  CHECK(replica->digest() == expected());
  const auto keeper = (co_await create<Keeper>()).value();
  CHECK((co_await keeper.on(from).call<&Keeper::drop_replica>(replica)).value() == 0);
  CHECK((co_await destroy(replica)).has_value());
}

task<void> check_partition(application* app) {
  const auto part = (co_await create<Part>()).value();
  const int key = 1;
  CHECK((co_await part.on_key(key).call<&Part::fill>(kWords)).has_value());
  const NodeId owner = (co_await part.on_key(key).call<&Part::place>()).value();
  CHECK((co_await app->nodes().remove(owner)).has_value());
  const auto next = co_await part.on_key(key).call<&Part::place>();
  CHECK(next && *next != owner);
  CHECK((co_await part.on_key(key).call<&Part::digest>()).value() == expected());
  CHECK((co_await destroy(part)).has_value());
}

}  // namespace

task<int> ebb_main(application& app) {
  const std::vector<NodeId> nodes = (co_await app.nodes().add(app.options().backends)).value();
  co_await check_home(nodes[0], nodes[1]);
  co_await check_replicas(nodes[0]);
  co_await check_partition(&app);
  co_return ebb::test::conclude();
}
