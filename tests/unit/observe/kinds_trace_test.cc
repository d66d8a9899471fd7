// Spans and histograms of calls that look for their object: homes, replicas, partitions, pipelines, streams.
#include <gtest/gtest.h>

#include <map>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/observe.h"
#include "tests/unit/observe/collected.h"

namespace {

using namespace ebb;

struct Home {
  using policy = single_home;
  void touch() {}
  using interface = ebb::interface<"test.TracedHome/1", method<"touch", &Home::touch>>;
};
struct Copies {
  using policy = replicated;
  std::int64_t value = 0;
  void set(std::int64_t to) { value = to; }
  std::int64_t get() const { return value; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t from) { value = from; }
  using interface = ebb::interface<"test.TracedCopies/1", method<"set", &Copies::set>, method<"get", &Copies::get>>;
};
struct Parts {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 4;
  std::int64_t value = 0;
  void set(std::int64_t to) { value = to; }
  TraceContext trace(const call_context& context) { return context.trace; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t from) { value = from; }
  using interface = ebb::interface<"test.TracedParts/1", method<"set", &Parts::set>, method<"trace", &Parts::trace>>;
};
generator<std::int32_t> count_to(std::int32_t last) {
  for (std::int32_t i = 1; i <= last; ++i) co_yield i;
}
struct Plant {
  task<Result<ref<Home>>> make() { co_return co_await create<Home>(); }
  stream<std::int32_t> numbers(std::int32_t last) { return count_to(last); }
  using interface = ebb::interface<"test.Plant/1", method<"make", &Plant::make>, method<"numbers", &Plant::numbers>>;
};

TEST(TraceOfAKind, LeadsToAHome) {
  run([]() -> task<int> {
    const auto home = (co_await create<Home>()).value();
    co_await collect();
    (co_await home.on_home().traced().call<&Home::touch>()).value();
    const span root = span::traced("root");
    (co_await home.on_home().under(root).call<&Home::touch>()).value();
    Tree tree = co_await collect();
    EXPECT_EQ(tree.batch.spans.size(), 4u);
    EXPECT_EQ(tree.clients["test.TracedHome/1.touch"].parent, root.context().span);
    EXPECT_EQ(tree.servers["test.TracedHome/1.touch"].parent, tree.clients["test.TracedHome/1.touch"].span);
    co_return 0;
  });
}

TEST(TraceOfAKind, LeadsToTheHomeOfReplicasThatAreWritten) {
  run([]() -> task<int> {
    const auto copies = (co_await create<Copies>()).value();
    (co_await copies.call<&Copies::set>(1)).value();
    co_await collect();
    const span root = span::traced("root");
    const auto target = copies.under(root);
    (co_await target.call<&Copies::set>(2)).value();
    EXPECT_EQ((co_await target.call<&Copies::get>()).value(), 2);
    Tree tree = co_await collect();
    EXPECT_EQ(tree.clients["test.TracedCopies/1.set"].parent, root.context().span);
    EXPECT_EQ(tree.servers["test.TracedCopies/1.set"].parent, tree.clients["test.TracedCopies/1.set"].span);
    EXPECT_EQ(tree.servers["test.TracedCopies/1.get"].trace_low, root.context().trace_low);
    co_return 0;
  });
}

TEST(TraceOfAKind, BeginsByChanceWithAWriteThatLeavesItsCore) {
  run([]() -> task<int> {
    const auto copies = (co_await create_at<Copies>(kFrontEndNode, CoreIndex{1})).value();
    (co_await copies.call<&Copies::set>(1)).value();
    co_await collect();
    observe::sample(1'000'000);
    (co_await copies.call<&Copies::set>(2)).value();
    observe::sample(0);
    Tree tree = co_await collect();
    EXPECT_TRUE(tree.clients.contains("test.TracedCopies/1.set"));
    EXPECT_EQ(tree.servers["test.TracedCopies/1.set"].parent, tree.clients["test.TracedCopies/1.set"].span);
    co_return 0;
  });
}

TEST(TraceOfAKind, LeadsToAPartitionAndIntoItsMethod) {
  run([]() -> task<int> {
    const auto parts = (co_await create<Parts>()).value();
    for (int key = 0; key < 8; ++key) (co_await parts.on_key(key).call<&Parts::set>(1)).value();
    co_await collect();
    for (int key = 0; key < 8; ++key) {
      const TraceContext inside = (co_await parts.on_key(key).traced().call<&Parts::trace>()).value();
      Tree tree = co_await collect();
      const auto client = tree.clients["test.TracedParts/1.trace"];
      const auto server = tree.servers["test.TracedParts/1.trace"];
      EXPECT_EQ(client.parent, 0u);
      EXPECT_EQ(server.parent, client.span);
      EXPECT_EQ(server.span, inside.span);
    }
    detail::ObserverService service;
    std::map<std::string, std::uint64_t> calls;
    const auto methods = (co_await service.methods()).value();
    for (const detail::MethodRecord& each : methods) {
      if (each.interface_name == "test.TracedParts/1") calls[each.method] += each.calls;
    }
    EXPECT_EQ(calls["set"], 8u);
    EXPECT_EQ(calls["trace"], 8u);
    co_return 0;
  });
}

TEST(TraceOfAKind, GoesThroughTheStepsOfAPipeline) {
  run([]() -> task<int> {
    const auto plant = (co_await create<Plant>()).value();
    co_await collect();
    const auto there = plant.on(this_node(), CoreIndex{1}).traced();
    EXPECT_TRUE(co_await there.pipeline<&Plant::make>().then<&Home::touch>().call());
    Tree tree = co_await collect();
    const auto run = tree.servers["ebb.Pipeline/1.run"];
    EXPECT_EQ(run.parent, tree.clients["ebb.Pipeline/1.run"].span);
    EXPECT_EQ(tree.clients["test.Plant/1.make"].parent, run.span);
    EXPECT_EQ(tree.servers["test.Plant/1.make"].parent, tree.clients["test.Plant/1.make"].span);
    EXPECT_EQ(tree.clients["test.TracedHome/1.touch"].parent, run.span);
    EXPECT_EQ(tree.servers["test.TracedHome/1.touch"].parent, tree.clients["test.TracedHome/1.touch"].span);
    co_return 0;
  });
}

TEST(TraceOfAKind, TakesThePullsOfAStreamAlong) {
  run([]() -> task<int> {
    const auto plant = (co_await create<Plant>()).value();
    const std::uint64_t method = Plant::interface::method_id<&Plant::numbers>();
    const auto bytes = (co_await detail::serve_call(plant.id(), CoreIndex{1}, method, wire::encode(std::int32_t{3}))).value();
    auto numbers = wire::decode<stream<std::int32_t>>(bytes).value();
    co_await collect();
    const span root = span::traced("root");
    numbers.under(root);
    int taken = 0;
    for (;;) {
      const auto next = (co_await numbers.next()).value();
      if (!next) break;
      ++taken;
    }
    EXPECT_EQ(taken, 3);
    Tree tree = co_await collect();
    EXPECT_EQ(tree.clients["ebb.Stream/1.pull"].parent, root.context().span);
    EXPECT_EQ(tree.servers["ebb.Stream/1.pull"].parent, tree.clients["ebb.Stream/1.pull"].span);
    co_return 0;
  });
}

}  // namespace
