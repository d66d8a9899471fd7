// The scenario "names": objects are created under names, found and destroyed from everywhere, by all at the same few names, while
// connections break; and records of some others are given new homes and removed, by all at once. What clients are told must
// be what one directory could have said that does one thing at a time.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/linearizability.h"
#include "tests/sim/trial.h"
#include "tests/sim/specifications.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kNames = 8;

/// Records that everybody is after at a time.
constexpr std::size_t kRecords = 3;

using Action = NameSpecification::Action;
using History = std::vector<Attempt<NameSpecification>>;
using RecordAction = RecordSpecification::Action;

/// One a node.
struct Sign {
  using policy = per_node;
  Alive alive{"Sign"};
  std::uint64_t read() const { return 1; }
  using interface = ebb::interface<"sim.Sign/1", method<"read", &Sign::read>>;
};

/// Only its record is used: nobody but clients gives it another home.
struct Plaque {
  Alive alive{"Plaque"};
  std::uint64_t read() const { return 1; }
  using interface = ebb::interface<"sim.Plaque/1", method<"read", &Plaque::read>>;
};

struct Record {
  ObjectId id;
  std::uint32_t epoch = 1;  // the last that was heard of
  bool removed = false;     // so one was told
  std::vector<Attempt<RecordSpecification>> history;
};

struct Run {
  std::vector<std::unique_ptr<Record>> records;
  std::map<std::uint64_t, History> histories;     // by name
  std::map<std::uint64_t, ref<Sign>> known;       // by name, the last that was found or made
  std::size_t successes = 0;
};

/// An operation begins; its place in the name's history. What a client that crashes has begun may happen as well.
std::size_t begin(Run* run, std::uint64_t name, Action action, std::uint32_t id) {
  Attempt<NameSpecification> attempt;
  attempt.input = {action, id};
  attempt.begin = World::instance().now().count();
  run->histories[name].push_back(attempt);
  return run->histories[name].size() - 1;
}

/// It has ended, and its client knows what it did.
void note(Run* run, std::uint64_t name, std::size_t at, NameSpecification::Output output) {
  run->histories[name][at].end = World::instance().now().count();
  run->histories[name][at].output = output;
  ++run->successes;
}

task<void> make(Run* run, std::uint64_t name) {
  const OpenCall open("a creation of name " + std::to_string(name));
  const std::size_t at = begin(run, name, Action::create, 0);
  const auto made = co_await create<Sign>("sign " + std::to_string(name));
  if (made) run->known[name] = *made;
  if (made) note(run, name, at, {made->id().index(), true});
  if (made.code() == Errc::already_exists) note(run, name, at, {0, false});
}

task<void> look(Run* run, std::uint64_t name) {
  const OpenCall open("a look for name " + std::to_string(name));
  const std::size_t at = begin(run, name, Action::find, 0);
  const auto found = co_await find<Sign>("sign " + std::to_string(name));
  if (found) run->known[name] = *found;
  if (found) note(run, name, at, {found->id().index(), true});
  if (found.code() == Errc::no_such_object) note(run, name, at, {0, false});
}

task<void> end(Run* run, std::uint64_t name) {
  const OpenCall open("the end of name " + std::to_string(name));
  const auto known = run->known.find(name);
  if (known == run->known.end()) co_return;
  const ref<Sign> sign = known->second;
  const std::uint32_t id = sign.id().index();
  const std::size_t at = begin(run, name, Action::destroy, id);
  const Result<void> ended = co_await destroy(sign);
  if (ended) note(run, name, at, {id, true});
  if (ended.code() == Errc::no_such_object) note(run, name, at, {id, false});
}

task<void> use(Run* run, std::uint64_t name) {
  const OpenCall open("a call of name " + std::to_string(name));
  const auto known = run->known.find(name);
  if (known == run->known.end()) co_return;
  const auto members = Node::current()->members();
  const Member& anybody = members[World::instance().pick(0, members.size() - 1)];
  const auto answer = co_await known->second.on(anybody.id).within(3s).call<&Sign::read>();
  static_cast<void>(answer);
}

Attempt<RecordSpecification> asks(RecordSpecification::Input input) {
  return {input, std::nullopt, World::instance().now().count(), 0};
}

/// What was heard of an operation on a record.
void hear(Run* run, Record* record, Attempt<RecordSpecification>& asked, const Result<ObjectRecord>& told) {
  using Output = RecordSpecification::Output;
  asked.end = World::instance().now().count();
  const bool changes = asked.input.action != RecordAction::find;
  if (told) {
    record->epoch = std::max(record->epoch, told->epoch);
    asked.output = Output{{told->epoch, to_number(told->home)}, changes, true};
  } else if (told.code() == Errc::no_such_object) {
    asked.output = Output{{}, false, true};
    record->removed = true;
  } else if (told.code() == Errc::moved) {
    asked.output = Output{{}, false, false};
  }
  if (asked.output) ++run->successes;
}

task<void> make_record(Run* run) {
  static_cast<void>(&detail::Registered<Plaque>::entry);  // all that is listed is destroyed in the end
  NewObject wanted{std::string(Plaque::interface::name), Plaque::interface::id, "per_core", this_node(), CoreIndex{0},
                   "plaque " + std::to_string(World::instance().random()())};
  Attempt<RecordSpecification> asked = asks({RecordAction::create, 0, to_number(this_node())});
  const Result<ObjectRecord> made = co_await NodeTable::instance().directory().create(std::move(wanted));
  if (!made) co_return;
  auto fresh = std::make_unique<Record>();
  fresh->id = made->id;
  hear(run, fresh.get(), asked, made);
  fresh->history.push_back(asked);
  run->records.push_back(std::move(fresh));
}

task<void> remove_record(Run* run, Record* record, std::size_t at) {
  const Result<void> removed = co_await NodeTable::instance().directory().remove(record->id);
  if (!removed) co_return hear(run, record, record->history[at], removed.error());
  record->history[at].end = World::instance().now().count();
  record->history[at].output = RecordSpecification::Output{{}, true, true};
  record->removed = true;
  ++run->successes;
}

/// One operation on one of the records that are not known to be removed.
task<void> use_record(Run* run) {
  const OpenCall open("an operation on a record");
  World& world = World::instance();
  std::vector<Record*> there;
  for (const auto& each : run->records) {
    if (!each->removed) there.push_back(each.get());
  }
  if (there.size() < kRecords) co_return co_await make_record(run);
  Record* record = there[world.pick(0, there.size() - 1)];
  const auto members = Node::current()->members();
  const NodeId home = members[world.pick(0, members.size() - 1)].id;
  const std::uint64_t what = world.pick(0, 19);
  RecordSpecification::Input input{RecordAction::find, 0, 0};
  if (what < 10) input = {RecordAction::re_home, record->epoch, to_number(home)};
  if (what == 10) input = {RecordAction::remove, 0, 0};
  const std::size_t at = record->history.size();
  record->history.push_back(asks(input));
  if (what == 10) co_return co_await remove_record(run, record, at);
  Directory& directory = NodeTable::instance().directory();
  task<Result<ObjectRecord>> asking = what < 10 ? directory.re_home(record->id, record->epoch, home, CoreIndex{0})
                                                : directory.lookup(record->id);
  const Result<ObjectRecord> told = co_await std::move(asking);
  hear(run, record, record->history[at], told);
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(cluster->pause(5ms, 500ms));
    if (cluster->ending) continue;
    const std::uint64_t name = world.pick(0, kNames - 1);
    switch (world.pick(0, 9)) {
      case 0:
      case 1: co_await make(run, name); break;
      case 2: co_await end(run, name); break;
      case 3: co_await use(run, name); break;
      case 4:
      case 5:
      case 6: co_await use_record(run); break;
      default: co_await look(run, name); break;
    }
  }
}

/// Objects of which nobody knows whether they have ended everywhere: destroy() failed, or its client crashed.
std::set<ObjectId> not_ended(const Run& run) {
  std::set<ObjectId> all;
  for (const auto& [name, history] : run.histories) {
    for (const auto& each : history) {
      if (each.input.action == Action::destroy && !each.output) all.insert(ObjectId(each.input.id));
    }
  }
  return all;
}

/// A search that was given up is described in other words than one that has found it so: a mutation counts as found by those alone.
const char* describe(Verdict verdict) {
  return verdict == Verdict::undecided ? "the search was given up for a directory that could have said" : "no directory could have said";
}

void check_records(const Run& run) {
  for (const auto& record : run.records) {
    const Verdict verdict = check_linearizable(RecordSpecification(), record->history);
    if (verdict == Verdict::linearizable) continue;
    violated("record " + std::to_string(record->id.index()) + ": " + describe(verdict) + " what it did of its " +
             std::to_string(record->history.size()) + " operations");
  }
}

void check(const Run& run) {
  for (auto [name, history] : run.histories) {
    // A look that failed says nothing.
    std::erase_if(history, [](const auto& each) { return each.input.action == Action::find && !each.output; });
    NameSpecification specification;
    for (const auto& each : history) {
      if (each.output && each.output->id != 0) specification.ids.insert(each.output->id);
    }
    const Verdict verdict = check_linearizable(specification, history);
    if (verdict == Verdict::linearizable) continue;
    violated("name " + std::to_string(name) + ": " + describe(verdict) + " what it did of its " + std::to_string(history.size()) +
             " operations");
  }
}

}  // namespace

Outcome run_names(const Settings& settings) {
  Run run;
  const Work work = [&run](Cluster* self) { return client(self, &run); };
  Trial trial(settings, work, work);
  trial.trouble(43s);
  trial.must_answer(60s, 66s, run.successes);
  check(run);
  check_records(run);
  for (const auto& [name, history] : run.histories) trial.outcome.operations += history.size();
  trial.outcome.successes = run.successes;
  return trial.finish(not_ended(run));
}

}  // namespace ebb::sim
