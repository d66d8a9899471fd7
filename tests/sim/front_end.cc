// The scenario "front_end": the node that alone decides who is a member fails, or is away for a while. What fails takes its cluster
// along, in time and in order: nothing answers for what has one place once the leases are over, every call ends, and so does every
// backend. A short absence costs nothing.
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/lease.h"
#include "src/messenger/connection.h"
#include "tests/sim/constructions.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kFrontEnd = 1;
constexpr Time kFails = 10s;
constexpr platform::Duration kTimeout = 2s;
constexpr std::size_t kWards = 4;
constexpr int kCutOff = 72;
/// Rates of clocks are that far apart from the world's.
constexpr double kLeastRate = 0.976;
constexpr double kMostRate = 1.024;
/// A message is on its way, and a core wakes up.
constexpr Time kUnderWay = 100ms;

Time slow(platform::Duration by_own_clock) {
  return Time(static_cast<Time::rep>(static_cast<double>(std::chrono::duration_cast<Time>(by_own_clock).count()) / kLeastRate));
}

/// By then all leases are over that a front end has granted before it failed.
const Time kLeasesOver = kFails + slow(kLease) + kUnderWay;
/// By then all backends have noticed that nobody answers them, which they count in steps of a lease.
constexpr platform::Duration kNotices = messenger::Connection::kPingAfter + kFrontEndSilence;
const Time kAllEnded = kFails + slow(kNotices + 4 * kLease) + 2s;

enum class Failure : std::uint8_t { crash, silence, cut_off, short_pause };
constexpr const char* kNames[] = {"crashes", "falls silent", "is cut off", "is away for a while"};

/// What this run looks at; objects of all nodes reach it directly.
struct Ledger {
  Failure failure = Failure::crash;
  bool lasts = false;  // it will not come back
  History wards;
  History notices;
  WriteOrder order{notices};
  std::map<std::uint64_t, std::uint32_t> askers;  // of wards: the node, by operation
  std::uint64_t next_incarnation = 0;
};
Ledger* ledger = nullptr;

std::string here() { return "node " + std::to_string(to_number(this_node())) + " core " + std::to_string(to_number(Core::current().index())); }

bool leases_over() { return ledger->lasts && World::instance().now() > kLeasesOver && this_node() != kFrontEndNode; }

struct Ward {
  using policy = noted<remade_home>;
  Alive alive{"Ward"};
  std::uint64_t epoch = 1;
  std::uint64_t count = 0;
  void on_lost(const home_lost& lost) { epoch = lost.epoch; }
  Moment use(std::uint64_t operation) {
    if (leases_over()) violated("a home on " + here() + " takes a call after its lease");
    ledger->wards.ran(operation, here());
    return {epoch, ++count};
  }
  task<Moment> use_slowly(std::uint64_t operation) {
    const Moment moment = use(operation);
    co_await sleep_for(std::chrono::milliseconds(World::instance().pick(1, 1'500)));
    co_return moment;
  }
  Moment save() const { return {epoch, count}; }
  void restore(Moment state) { epoch = state.epoch, count = state.count; }
  using interface = ebb::interface<"sim.Ward/1", method<"use", &Ward::use>, method<"use_slowly", &Ward::use_slowly>>;
};

/// A state that nobody has any more begins with another incarnation.
struct Notice {
  using policy = replicated;
  Alive alive{"Notice"};
  Page page{++ledger->next_incarnation, 0, 0};
  Page write(std::uint64_t operation) { return page = ledger->order.carry_out(page, operation, here()); }
  Page read() const { return page; }
  Page save() const { return page; }
  void restore(Page saved) { page = saved; }
  using interface = ebb::interface<"sim.Notice/1", method<"write", &Notice::write>, method<"read", &Notice::read>>;
};

struct Run {
  std::vector<ref<Ward>> wards;
  ref<Notice> notice;
  bool made = false;
  std::size_t answered = 0;
  Ledger ledger;
};

void note(Run* run, History& history, std::uint64_t operation, const Result<Moment>& moment) {
  const Time now = World::instance().now();
  if (!moment) return history.failed(operation, now);
  ++run->answered;
  history.succeeded(operation, now, *moment);
}

task<void> use_ward(Run* run, std::size_t which) {
  const std::uint64_t operation = ledger->wards.begin(World::instance().now(), which, true);
  const OpenCall open("operation " + std::to_string(operation) + " of a ward");
  ledger->askers[operation] = World::instance().node().number;
  const auto target = run->wards[which].on_home().within(kTimeout);
  task<Result<Moment>> call =
      World::instance().pick(0, 1) == 0 ? target.call<&Ward::use>(operation) : target.call<&Ward::use_slowly>(operation);
  const Result<Moment> moment = co_await std::move(call);
  if (moment && leases_over()) violated("an answer for a home came to " + here() + " after the lease");
  note(run, ledger->wards, operation, moment);
}

void note(Run* run, std::uint64_t operation, const Result<Page>& page) {
  if (page) ledger->order.heard(operation, *page);
  note(run, ledger->notices, operation, page ? Result<Moment>(Moment{page->life, page->count}) : Result<Moment>(page.error()));
}

task<void> write_notice(Run* run) {
  const std::uint64_t operation = ledger->notices.begin(World::instance().now(), 0, true);
  const OpenCall open("operation " + std::to_string(operation) + " of the notice, a write,");
  const Result<Page> page = co_await run->notice.call<&Notice::write>(operation);
  if (page && leases_over()) violated("a write was answered to " + here() + " after the lease");
  note(run, operation, page);
}

task<void> read_notice(Run* run) {
  const std::uint64_t operation = ledger->notices.begin(World::instance().now(), 0, false);
  const OpenCall open("operation " + std::to_string(operation) + " of the notice, a read,");
  ledger->notices.note(operation, here());
  // Any core's replica, in an event that can wait for one.
  auto look = [notice = run->notice]() -> Result<Page> {
    try {
      const Page page = notice->read();
      if (leases_over()) violated("a replica on " + here() + " is read after the lease");
      return page;
    } catch (const ErrorException& error) {
      return error.error();
    }
  };
  const CoreIndex core{static_cast<std::uint16_t>(World::instance().pick(0, Core::count() - 1))};
  const Result<Page> page = co_await on_core(core, look);
  note(run, operation, page);
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(std::chrono::microseconds(world.pick(1'000, 100'000)));
    if (!run->made || cluster->ending) continue;
    switch (world.pick(0, 3)) {
      case 0: co_await write_notice(run); break;
      case 1: co_await read_notice(run); break;
      default: co_await use_ward(run, world.pick(0, kWards - 1)); break;
    }
  }
}

task<void> begin(Cluster* cluster, Run* run) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  const auto members = Node::current()->members();
  for (std::size_t at = 0; at < kWards; ++at) run->wards.push_back((co_await create_at<Ward>(members[at % members.size()].id)).value());
  run->notice = (co_await create_at<Notice>(members.back().id)).value();
  run->made = true;
  // Several at a time, so that calls are under way whenever it happens.
  auto clients = when_all(client(cluster, run), client(cluster, run), client(cluster, run));
  co_await std::move(clients);
}

task<void> clients(Cluster* cluster, Run* run) {
  auto all = when_all(client(cluster, run), client(cluster, run), client(cluster, run));
  co_await std::move(all);
}

void fail(Cluster& cluster, Failure failure) {
  World& world = cluster.world();
  world.say(std::string("the front end ") + kNames[static_cast<std::size_t>(failure)]);
  switch (failure) {
    case Failure::crash: world.crash(kFrontEnd, true); break;
    case Failure::silence: world.crash(kFrontEnd, false); break;
    case Failure::cut_off:
      for (const std::uint32_t each : cluster.backends) world.cut(kFrontEnd, each), world.cut(each, kFrontEnd);
      break;
    case Failure::short_pause: world.pause(kFrontEnd, std::chrono::milliseconds(world.pick(2'000, 4'000))); break;
  }
}

/// A call of which nothing was heard, although its node lives and it may take no longer.
void look_for_lost_calls(const World& world) {
  for (const auto& each : ledger->wards.operations()) {
    const bool late = !each.end && each.begin + slow(kTimeout) + kUnderWay < world.now();
    if (late && world.alive(ledger->askers.at(each.id))) violated("operation " + std::to_string(each.id) + " does not end");
  }
}

void look_at_the_end(Trial& trial) {
  for (const std::uint32_t each : trial.cluster.backends) {
    if (trial.world.status(each) != kCutOff) violated(trial.world.node(each).name + " has not ended although it has no front end");
  }
}

void settle(Trial& trial, Run& run) {
  run.ledger.wards.check(true);
  run.ledger.wards.check_as_counters(true);
  run.ledger.notices.check(false);
  run.ledger.notices.check_reads();
  run.ledger.notices.check_as_counters(false);
  run.ledger.order.check();
  trial.add(run.ledger.order);
  trial.add(run.ledger.wards);
  trial.add(run.ledger.notices);
  // A front end that lives on without its backends takes over what they had. Otherwise nothing begins anew.
  if (run.ledger.failure == Failure::cut_off) return;
  for (const History* history : {&run.ledger.wards, &run.ledger.notices}) {
    std::set<std::uint64_t> lives;
    for (const auto& each : history->operations()) {
      if (each.moment) lives.insert(each.moment->epoch);
    }
    if (lives.size() > 1) violated("an object has begun anew");
  }
}

}  // namespace

Outcome run_front_end(const Settings& settings) {
  Run run;
  ledger = &run.ledger;
  Trial trial(
      settings, [&run](Cluster* self) { return begin(self, &run); }, [&run](Cluster* self) { return clients(self, &run); });
  World& world = trial.world;
  for (std::uint32_t node = 1; node <= world.nodes(); ++node) {
    world.set_clock_rate(node, kLeastRate + (kMostRate - kLeastRate) * static_cast<double>(world.pick(0, 480)) / 480);
  }
  run.ledger.failure = static_cast<Failure>(world.pick(0, 3));
  run.ledger.lasts = run.ledger.failure != Failure::short_pause;
  trial.outcome.report = std::string("the front end ") + kNames[static_cast<std::size_t>(run.ledger.failure)];
  world.run_until(kFails);
  if (run.answered == 0) violated("nothing was answered before it");
  fail(trial.cluster, run.ledger.failure);
  if (run.ledger.lasts) {
    world.run_until(kFails + slow(kLease));
    look_for_lost_calls(world);
    world.run_until(kAllEnded);
    look_at_the_end(trial);
    settle(trial, run);
    return trial.finish_as_it_is();
  }
  trial.must_answer(25s, 40s, run.answered);
  look_for_lost_calls(world);
  if (!trial.cluster.lost.empty()) violated("a front end that was away for a while has lost members");
  settle(trial, run);
  return trial.finish();
}

}  // namespace ebb::sim
