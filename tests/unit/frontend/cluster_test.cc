// The cluster with a driver and a node that are played.
#include "frontend/cluster/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "ebb/async/runtime.h"
#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"

namespace ebb::frontend::cluster {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// What a started node does.
enum class Play { join, stay_silent, end_early, join_and_ignore_stop, join_and_die_unnoticed, join_and_die_while_leaving };

Member member(NodeId id) { return {id, 2, {0x7f000001, 7000}}; }

class FakeDriver;

struct World final : Node {
  // What the test says
  std::map<NodeId, Play> plays;
  std::atomic<bool> refuse_start{false};
  std::atomic<bool> refuse_check{false};
  // What there is
  Workers workers{4};
  service::MembershipFeed feed;
  std::unique_ptr<service::MembershipFeed::Watcher> watcher = std::move(feed.watch()).value();
  std::unique_ptr<Cluster> cluster;
  FakeDriver* driver = nullptr;
  // What was seen
  std::vector<std::string> alerts;
  std::vector<std::pair<NodeId, std::string>> removed;
  std::vector<NodeId> ended;
  bool abandoned = false;
  std::atomic<int> stops{0};
  std::atomic<int> most_at_once{0};

  NodeId id() const noexcept override { return kFrontEndNode; }
  platform::Endpoint local() const noexcept override { return {0x7f000001, 4711}; }
  Messenger& messenger() noexcept override { std::abort(); }
  std::vector<Member> members() const override { return {}; }
  void member_ended(NodeId member) override { ended.push_back(member); }
  void abandon_homes() override { abandoned = true; }
  task<void> remove_member(NodeId member, std::string reason) override {
    removed.emplace_back(member, std::move(reason));
    co_return;
  }
  task<void> end_objects(platform::Duration) override { std::abort(); }
  task<void> end_own_objects(platform::Duration) override { std::abort(); }
  task<Result<void>> ask_to_stop(NodeId member) override;
  task<Result<ObjectCounts>> object_counts(NodeId) override { std::abort(); }
  task<Result<void>> join(platform::Endpoint) override { std::abort(); }
  task<Result<void>> stopped() override { std::abort(); }
  task<void> close() override { co_return; }

  std::vector<std::string> changes() {
    std::vector<std::string> result;
    service::MembershipChange change;
    while (watcher->next(change) == service::MembershipFeed::Watcher::State::change) {
      result.push_back((change.joined ? "+" : "-") + std::to_string(to_number(change.node.id)) +
                       (change.reason.empty() ? "" : " " + change.reason));
    }
    return result;
  }
};

class FakeDriver final : public nodes::Driver {
 public:
  FakeDriver(World& world, nodes::DriverObserver& observer) : world_(world), observer_(observer) {}
  std::string_view name() const noexcept override { return "fake"; }
  Result<void> check(const nodes::NodeSpec&, std::size_t) override {
    if (world_.refuse_check) return Error(Errc::not_found, "no image");
    return {};
  }
  Result<void> start(const nodes::NodeSpec& spec) override {
    EXPECT_EQ(spec.frontend.port, 4711);
    const int at_once = ++under_way_;
    if (at_once > world_.most_at_once) world_.most_at_once = at_once;
    std::this_thread::sleep_for(milliseconds(20));
    --under_way_;
    if (world_.refuse_start) return Error(Errc::unavailable, "the hypervisor is asleep");
    {
      const std::lock_guard guard(mutex_);
      running_.insert(spec.id);
    }
    const auto found = world_.plays.find(spec.id);
    const Play play = found == world_.plays.end() ? Play::join : found->second;
    if (play == Play::end_early) {
      observer_.on_console_line(spec.id, "node: no network");
      end(spec.id, "exit status 72");
    } else if (play != Play::stay_silent) {
      Cluster* cluster = world_.cluster.get();
      post_surely(CoreIndex{0}, [cluster, id = spec.id] {
        if (cluster->admit(member(id))) cluster->on_joined(member(id));
      });
    } else {
      observer_.on_console_line(spec.id, "waiting for DHCP");
    }
    return {};
  }
  Result<void> stop(NodeId node) override {
    ++world_.stops;
    return end(node, "killed by signal 9") ? Result<void>() : Error(Errc::not_found, "does not run");
  }
  bool end(NodeId node, std::string reason) {
    {
      const std::lock_guard guard(mutex_);
      if (running_.erase(node) == 0) return false;
    }
    observer_.on_ended(node, std::move(reason));
    return true;
  }
  std::size_t running() {
    const std::lock_guard guard(mutex_);
    return running_.size();
  }

 private:
  World& world_;
  nodes::DriverObserver& observer_;
  std::atomic<int> under_way_{0};
  std::mutex mutex_;
  std::set<NodeId> running_;
};

task<Result<void>> World::ask_to_stop(NodeId member) {
  if (plays[member] == Play::join_and_die_unnoticed) {
    driver->end(member, "killed by signal 11");
    co_return Error(Errc::node_gone, "connection reset");
  }
  if (plays[member] == Play::join_and_ignore_stop) co_return Result<void>();
  if (plays[member] == Play::join_and_die_while_leaving) {
    driver->end(member, "killed by signal 9");
    for (int look = 0; look < 5000 && ended.empty(); ++look) co_await sleep_for(milliseconds(1));
    co_return Error(Errc::node_gone, "it was lost before it had left");
  }
  driver->end(member, "exit status 0");
  co_return Result<void>();
}

task<int> play(World* world, task<void> (*test)(World*)) {
  ClusterSettings settings;
  settings.join_limit = milliseconds(200);
  settings.stop_limit = milliseconds(100);
  settings.reason_limit = milliseconds(100);
  world->cluster = std::make_unique<Cluster>(
      settings,
      [world](nodes::DriverObserver& observer) -> Result<std::unique_ptr<nodes::Driver>> {
        auto driver = std::make_unique<FakeDriver>(*world, observer);
        world->driver = driver.get();
        return std::unique_ptr<nodes::Driver>(std::move(driver));
      },
      world->workers, world->feed,
      Cluster::Output{[](std::string_view) {}, [world](std::string_view line) { world->alerts.emplace_back(line); }});
  world->cluster->set_node(*world);
  co_await test(world);
  co_await world->cluster->stop_all();
  EXPECT_TRUE(world->abandoned) << "homes would be made anew on nodes that are about to end";
  EXPECT_TRUE(world->driver == nullptr || world->driver->running() == 0);
  world->cluster.reset();
  co_return 0;
}

void run(World& world, task<void> (*test)(World*)) {
  EXPECT_EQ(run_cores(1, [&] { return play(&world, test); }), 0);
}

task<void> add_three(World* world) {
  const auto ids = co_await world->cluster->add(3);
  EXPECT_EQ(ids.value().back(), NodeId{3});
  EXPECT_EQ(world->cluster->list().size(), 3u);
  for (const NodeStatus& status : world->cluster->list()) EXPECT_GE(status.launch, milliseconds(20));
}

TEST(Cluster, StartsNodesAtTheSameTimeAndStopsThemAll) {
  World world;
  run(world, add_three);
  EXPECT_GT(world.most_at_once, 1);
  EXPECT_EQ(world.changes().size(), 6u);
  EXPECT_EQ(world.stops, 0);
  EXPECT_TRUE(world.alerts.empty());
}

task<void> welcome_two(World* world) {
  std::vector<NodeId> welcomed;
  world->cluster->set_after_join([&welcomed](NodeId id) -> task<void> {
    co_await sleep_for(milliseconds(10));
    welcomed.push_back(id);
  });
  static_cast<void>((co_await world->cluster->add(2)).value());
  EXPECT_THAT(welcomed, testing::UnorderedElementsAre(NodeId{1}, NodeId{2}));
}

TEST(Cluster, HandsANodeOverWhenWhatFollowsItsJoiningIsDone) {
  World world;
  run(world, welcome_two);
}

TEST(ConsoleLog, ShowsNothingThatATerminalObeys) {
  std::string printed;
  ConsoleLog log([&printed](std::string_view line) { printed = line; });
  log.add(NodeId{3}, "ebb-panic: a\tb\u009b31m\x9b");
  EXPECT_EQ(printed, "[node 3] ebb-panic: a\tb?31m?");
  EXPECT_EQ(log.panic(NodeId{3}), "ebb-panic: a\tb?31m?");
  EXPECT_EQ(log.tail(NodeId{3}), "; its last lines: ebb-panic: a\tb?31m?");
}

task<void> add_with_a_silent_one(World* world) {
  const auto ids = co_await world->cluster->add(2);
  EXPECT_EQ(ids.code(), Errc::deadline_exceeded);
  EXPECT_THAT(ids.error().text(), HasSubstr("node 2 did not join"));
  EXPECT_THAT(ids.error().text(), HasSubstr("waiting for DHCP"));
  EXPECT_TRUE(world->cluster->list().empty());
  EXPECT_EQ(world->driver->running(), 0u);
  const auto again = co_await world->cluster->add(1);
  EXPECT_EQ(again.value().front(), NodeId{3});
}

TEST(Cluster, GivesUpANodeThatDoesNotJoinAndStopsThoseStartedWithIt) {
  World world;
  world.plays[NodeId{2}] = Play::stay_silent;
  run(world, add_with_a_silent_one);
}

task<void> add_one_that_ends(World* world) {
  const auto ids = co_await world->cluster->add(1);
  EXPECT_EQ(ids.code(), Errc::node_gone);
  EXPECT_THAT(ids.error().text(), HasSubstr("exit status 72; its last lines: node: no network"));
}

TEST(Cluster, SaysWhyANodeEndedBeforeItJoined) {
  World world;
  world.plays[NodeId{1}] = Play::end_early;
  run(world, add_one_that_ends);
}

task<void> add_in_vain(World* world) {
  EXPECT_EQ((co_await world->cluster->add(1)).code(), Errc::unavailable);
  world->refuse_check = true;
  EXPECT_EQ((co_await world->cluster->add(1)).code(), Errc::not_found);
}

TEST(Cluster, PassesOnWhatTheDriverSays) {
  World world;
  world.refuse_start = true;
  run(world, add_in_vain);
}

task<void> remove_one(World* world) {
  EXPECT_TRUE(co_await world->cluster->add(2));
  EXPECT_TRUE(co_await world->cluster->remove(NodeId{1}));
  EXPECT_EQ((co_await world->cluster->remove(NodeId{1})).code(), Errc::not_found);
  EXPECT_EQ(world->cluster->list().size(), 1u);
  EXPECT_THAT(world->removed, ElementsAre(std::pair(NodeId{1}, "node 1: it was removed")));
  EXPECT_THAT(world->ended, ElementsAre(NodeId{1})) << "homes would wait for a lease";
  EXPECT_FALSE(world->abandoned);
}

TEST(Cluster, RemovesANodeOnce) {
  World world;
  run(world, remove_one);
  EXPECT_EQ(world.stops, 0);
}

/// What it had is made anew at once, and not when whoever gives it away gives up.
task<void> remove_one_that_dies(World* world) {
  EXPECT_TRUE(co_await world->cluster->add(1));
  EXPECT_TRUE(co_await world->cluster->remove(NodeId{1}));
  const std::pair as_it_was(NodeId{1}, std::string("node 1: killed by signal 9"));
  EXPECT_TRUE(!world->removed.empty() && world->removed.front() == as_it_was);
  EXPECT_FALSE(world->ended.empty());
  EXPECT_TRUE(world->cluster->list().empty());
}

TEST(Cluster, ForgetsANodeAtOnceThatDiesWhileItLeaves) {
  World world;
  world.plays[NodeId{1}] = Play::join_and_die_while_leaving;
  run(world, remove_one_that_dies);
}

task<void> note_removal(World* world, std::vector<Errc>* codes) {
  const Result<void> removed = co_await world->cluster->remove(NodeId{1});
  EXPECT_EQ(world->cluster->epoch(), 3u) << "two have joined, and one is gone";
  codes->push_back(removed.code());
}

task<void> remove_one_twice(World* world) {
  EXPECT_TRUE(co_await world->cluster->add(2));
  std::vector<Errc> codes;
  std::vector<task<void>> removals;
  for (int each = 0; each < 2; ++each) removals.push_back(note_removal(world, &codes));
  co_await when_all(std::move(removals));
  EXPECT_THAT(codes, ElementsAre(Errc::ok, Errc::ok));
  EXPECT_EQ(world->removed.size(), 1u);
}

TEST(Cluster, LetsWhoeverRemovesANodeThatIsBeingRemovedWaitForIt) {
  World world;
  world.plays[NodeId{1}] = Play::join_and_ignore_stop;
  run(world, remove_one_twice);
  EXPECT_EQ(world.stops, 1);
}

TEST(Cluster, TakesDownANodeThatIsAskedToStopAndDoesNot) {
  World world;
  world.plays[NodeId{1}] = Play::join_and_ignore_stop;
  run(world, remove_one);
  EXPECT_EQ(world.stops, 1);
}

TEST(Cluster, TellsWhyANodeWasDeadThatItMeantToStop) {
  World world;
  world.plays[NodeId{1}] = Play::join_and_die_unnoticed;
  run(world, remove_one);
  EXPECT_THAT(world.alerts, ElementsAre("ebb: node 1 is gone: killed by signal 11"));
}

task<void> lose_one(World* world) {
  EXPECT_TRUE(co_await world->cluster->add(2));
  world->driver->end(NodeId{1}, "killed by signal 9");
  co_await sleep_for(milliseconds(20));
  EXPECT_EQ(world->cluster->list().size(), 1u);
}

TEST(Cluster, TellsWhenANodeEndsUnasked) {
  World world;
  run(world, lose_one);
  EXPECT_THAT(world.alerts, ElementsAre("ebb: node 1 is gone: killed by signal 9"));
  EXPECT_THAT(world.changes(), testing::Contains("-1 killed by signal 9"));
}

task<void> lose_a_connection(World* world) {
  EXPECT_TRUE(co_await world->cluster->add(1));
  world->cluster->on_lost(NodeId{1}, Error(Errc::node_gone, "silent for 5 s"));
  co_await sleep_for(milliseconds(200));
  EXPECT_EQ(world->driver->running(), 0u);
  EXPECT_EQ((co_await world->cluster->remove(NodeId{1})).code(), Errc::not_found);
}

TEST(Cluster, TakesDownANodeWhoseConnectionIsLost) {
  World world;
  run(world, lose_a_connection);
  EXPECT_THAT(world.alerts, ElementsAre("ebb: node 1 is gone: silent for 5 s"));
  EXPECT_EQ(world.stops, 1);
}

task<void> lose_a_connection_and_hear_why(World* world) {
  EXPECT_TRUE(co_await world->cluster->add(1));
  world->cluster->on_lost(NodeId{1}, Error(Errc::node_gone, "connection reset"));
  co_await sleep_for(milliseconds(20));
  world->driver->end(NodeId{1}, "killed by signal 11");
}

TEST(Cluster, PrefersTheNodesOwnReasonToThatOfItsConnection) {
  World world;
  run(world, lose_a_connection_and_hear_why);
  EXPECT_THAT(world.alerts, ElementsAre("ebb: node 1 is gone: killed by signal 11"));
}

task<void> add_and_forget(World* world, Result<std::vector<NodeId>>* result) { *result = co_await world->cluster->add(2); }

Result<std::vector<NodeId>> interrupted = std::vector<NodeId>();

task<void> stop_in_the_middle(World* world) {
  static Scope scope;
  scope.spawn(add_and_forget(world, &interrupted));
  co_await sleep_for(milliseconds(60));
  co_await world->cluster->stop_all();
  co_await scope.join();
  EXPECT_EQ(interrupted.code(), Errc::cancelled);
  EXPECT_EQ((co_await world->cluster->add(1)).code(), Errc::cancelled);
}

TEST(Cluster, EndsAnAddThatIsUnderWay) {
  World world;
  world.plays[NodeId{1}] = Play::stay_silent;
  run(world, stop_in_the_middle);
}

}  // namespace
}  // namespace ebb::frontend::cluster
