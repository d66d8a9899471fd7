// The scenario "life": objects are created, moved and destroyed from everywhere, ids are given out again, nodes leave in order or
// without a word. A reference reaches its own object or none.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/constructions.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

/// So few ids that leases of them are small and used up, and that they are given out again, after a grace that the run sees
/// the end of. It is longer than a state waits for its home (a minute), as the real one is.
constexpr std::uint32_t kIds = 512;
/// So many have their trouble in a shorter time: there is as much more of it, and each of them must hear of all others.
constexpr std::size_t kManyNodes = 200;
constexpr platform::Duration kGrace = 70s;
constexpr platform::Duration kForget = 66s;

/// One creation of an object, and all that is known of its life.
struct Handle {
  std::uint64_t serial = 0;
  std::variant<ref<struct Token>, ref<struct Badge>, ref<struct Drawer>> object;
  std::optional<Time> destroyed;  // destroy() has answered so
  std::optional<Time> ending;     // destroy() was called then
  std::map<std::uint64_t, std::uint32_t> ran;  // operations, and how often
  std::uint64_t newest = 0;       // of the instances of a Token that have run one

  bool dropping = false;          // by somebody

  std::uint64_t swaps = 0;        // begun
  std::uint32_t swapping = 0;     // of which are under way
  bool uneven = false;            // one failed, and may have come about here and there

  NodeId maker = this_node();

  ObjectId id() const {
    return std::visit([](auto each) { return each.id(); }, object);
  }
};

struct Ledger {
  const Cluster* cluster = nullptr;
  std::vector<std::unique_ptr<Handle>> handles;
  std::size_t operations = 0;
  std::size_t successes = 0;
  std::size_t reused = 0;
  std::size_t swaps = 0;
  std::size_t looks = 0;  // at an object after its swaps
  std::size_t drops = 0;
};
Ledger* ledger = nullptr;

/// What an instance does for all kinds: belongs to the creation for which it was used first, and says so.
std::uint64_t note_use(const Alive& alive, std::uint64_t& serial, std::uint64_t expected, std::uint64_t operation, bool alone) {
  Handle& handle = *ledger->handles[expected - 1];
  if (++handle.ran[operation] > 1) violated("operation " + std::to_string(operation) + " ran twice");
  if (alone && alive.number() < handle.newest) {
    violated("operation " + std::to_string(operation) + " ran on an instance that had a successor");
  }
  handle.newest = alive.number();
  if (serial == 0) serial = expected;
  return serial;
}

task<std::uint64_t> linger(std::uint64_t instance, std::uint64_t operation, std::uint64_t serial) {
  co_await sleep_for(std::chrono::milliseconds(8));
  if (!Alive::lives(instance)) violated("an instance ended in the middle of operation " + std::to_string(operation));
  co_return serial;
}

/// Has one place.
struct Token {
  Alive alive{"Token"};
  using policy = noted<remade_home>;
  std::uint64_t serial = 0;  // 0: not used yet
  std::uint64_t use(std::uint64_t expected, std::uint64_t operation) {
    if (serial == 0 && ledger->handles[expected - 1]->newest != 0) {
      violated("operation " + std::to_string(operation) + " found no state, and nobody had said that it was lost");
    }
    if (serial == kLost) serial = 0;
    return note_use(alive, serial, expected, operation, true);
  }
  task<std::uint64_t> use_slowly(std::uint64_t expected, std::uint64_t operation) {
    return linger(alive.number(), operation, use(expected, operation));
  }
  std::uint64_t save() const { return serial; }
  void restore(std::uint64_t state) { serial = state; }
  void on_lost(const home_lost&) { serial = kLost; }
  static constexpr std::uint64_t kLost = ~std::uint64_t{0};
  using interface = ebb::interface<"sim.Token/1", method<"use", &Token::use>, method<"use_slowly", &Token::use_slowly>>;
};

/// Is everywhere, and has no name: made under leased ids without asking anybody. Swapped and dropped.
struct Badge {
  Alive alive{"Badge"};
  std::uint64_t serial = 0;
  Badge() = default;
  Badge(const Badge&) = default;
  Badge& operator=(const Badge&) = default;
  virtual ~Badge() = default;
  virtual std::uint64_t use(std::uint64_t expected, std::uint64_t operation) {
    return note_use(alive, serial, expected, operation, false);
  }
  virtual task<std::uint64_t> use_slowly(std::uint64_t expected, std::uint64_t operation) {
    return linger(alive.number(), operation, use(expected, operation));
  }
  virtual std::uint8_t metal() const { return 0; }
  using interface = ebb::interface<"sim.Badge/1", method<"use", &Badge::use>, method<"use_slowly", &Badge::use_slowly>,
                                   method<"metal", &Badge::metal>>;
};
struct Silver final : Badge {
  static constexpr std::string_view implementation = "sim.Silver";
  explicit Silver(Badge&& other) : Badge(other) {}
  Silver() = default;
  std::uint8_t metal() const override { return 1; }
};
struct Gold final : Badge {
  static constexpr std::string_view implementation = "sim.Gold";
  explicit Gold(Badge&& other) : Badge(other) {}
  Gold() = default;
  std::uint8_t metal() const override { return 2; }
};

/// Has its parts on all nodes.
struct Drawer {
  Alive alive{"Drawer"};
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 8;
  std::uint64_t serial = 0;
  std::uint64_t use(std::uint64_t expected, std::uint64_t operation) { return note_use(alive, serial, expected, operation, false); }
  task<std::uint64_t> use_slowly(std::uint64_t expected, std::uint64_t operation) {
    return linger(alive.number(), operation, use(expected, operation));
  }
  std::uint64_t save() const { return serial; }
  void restore(std::uint64_t state) { serial = state; }
  using interface = ebb::interface<"sim.Drawer/1", method<"use", &Drawer::use>, method<"use_slowly", &Drawer::use_slowly>>;
};

std::string describe(const Handle& handle) {
  return "object " + std::to_string(handle.id().index()) + " (creation " + std::to_string(handle.serial) + ")";
}

const Member& any_member(const std::vector<Member>& members) { return members[World::instance().pick(0, members.size() - 1)]; }
CoreIndex any_core(const Member& member) { return CoreIndex{static_cast<std::uint16_t>(World::instance().pick(0, member.cores - 1))}; }

template <class T, class Target>
task<Result<std::uint64_t>> call(Target target, std::uint64_t serial, std::uint64_t operation) {
  task<Result<std::uint64_t>> work = World::instance().pick(0, 1) == 0 ? target.template call<&T::use>(serial, operation)
                                                                      : target.template call<&T::use_slowly>(serial, operation);
  return work;
}

/// What was made without asking and never came to be known, because its maker was lost: it never was, and its id is another's.
bool may_never_have_been(const Handle& handle) {
  const Cluster& cluster = *ledger->cluster;
  const std::uint32_t maker = Cluster::number_of(handle.maker);
  const bool lost = cluster.lost.contains(handle.maker) || (cluster.dismissed.contains(maker) && cluster.harmed.contains(maker));
  return lost && std::holds_alternative<ref<Badge>>(handle.object);
}

task<void> use(Handle* handle) {
  World& world = World::instance();
  const bool dead = handle->destroyed && *handle->destroyed < world.now();
  const std::uint64_t operation = ++ledger->operations;
  const OpenCall open("operation " + std::to_string(operation) + " of " + describe(*handle));
  const std::vector<Member> members = Node::current()->members();
  const Member& anybody = any_member(members);
  task<Result<std::uint64_t>> work;
  if (const auto* token = std::get_if<ref<Token>>(&handle->object)) {
    work = call<Token>(token->on_home().within(5s), handle->serial, operation);
  } else if (const auto* badge = std::get_if<ref<Badge>>(&handle->object)) {
    work = call<Badge>(badge->on(anybody.id, any_core(anybody)).within(5s), handle->serial, operation);
  } else {
    const auto key = world.pick(0, 100);
    work = call<Drawer>(std::get<ref<Drawer>>(handle->object).on_key(key).within(5s), handle->serial, operation);
  }
  const Result<std::uint64_t> answer = co_await std::move(work);
  if (answer.code() == Errc::no_such_object && !handle->ending) {
    // That its maker is lost has its effect a moment before the front end says so.
    co_await sleep_for(1ms);
    if (!may_never_have_been(*handle)) violated(describe(*handle) + " is said not to exist: " + answer.error().text());
  }
  if (!answer) co_return;
  ++ledger->successes;
  // A node that was declared gone has its own part of what is not exclusive, until it hears of it: for itself, and for members that
  // have not heard of it either.
  const auto& lost = ledger->cluster->lost;
  const bool of_the_lost = std::holds_alternative<ref<Badge>>(handle->object) && (lost.contains(this_node()) || lost.contains(anybody.id));
  if (dead && !of_the_lost) violated(describe(*handle) + " answered after it was destroyed, as creation " + std::to_string(*answer));
  if (*answer != handle->serial) violated(describe(*handle) + " answered as creation " + std::to_string(*answer));
}

/// Whether an id that was given out again might still mean its object of before.
void look_at_id(ObjectId id) {
  bool again = false;
  for (const auto& each : ledger->handles) {
    if (each->id() != id) continue;
    again = true;
    if (may_never_have_been(*each)) continue;
    // The one before must have ended everywhere, a grace ago: the answer of its destroy() may have been held up on its way, so what
    // counts is when it was called. Clocks run apart by up to 5 %.
    const bool early = !each->ending || World::instance().now() < *each->ending + kGrace * 9 / 10;
    if (early) violated(describe(*each) + " gave its id away while somebody may mean it");
  }
  ledger->reused += again ? 1 : 0;
}

template <class T>
Handle* enter(const Result<ref<T>>& created) {
  if (!created) return nullptr;
  look_at_id(created->id());
  auto fresh = std::make_unique<Handle>();
  fresh->serial = ledger->handles.size() + 1;
  fresh->object = *created;
  ledger->handles.push_back(std::move(fresh));
  return ledger->handles.back().get();
}

task<void> make() {
  const OpenCall open("a creation");
  const std::vector<Member> members = Node::current()->members();
  const Member& home = any_member(members);
  const std::uint64_t what = World::instance().pick(0, 5);
  Handle* made = nullptr;
  if (what < 3) {
    const auto badge = co_await create<Badge>();
    made = enter(badge);
  } else if (what < 5) {
    const auto token = co_await create_at<Token>(home.id);
    made = enter(token);
  } else {
    const auto drawer = co_await create_at<Drawer>(home.id);
    made = enter(drawer);
  }
  if (made != nullptr) co_await use(made);
}

task<void> end(Handle* handle) {
  const OpenCall open("the end of " + describe(*handle));
  handle->ending = World::instance().now();
  task<Result<void>> ending = std::visit([](auto object) { return destroy(object); }, handle->object);
  const Result<void> ended = co_await std::move(ending);
  if (ended) handle->destroyed = World::instance().now();
}

/// Of several swaps at once, by whomever, one stays everywhere.
task<void> replace(Handle* handle, ref<Badge> badge) {
  const std::uint64_t number = ++handle->swaps;
  const bool alone = handle->swapping++ == 0;
  const std::uint64_t what = World::instance().pick(0, 2);
  auto swapping = what == 0 ? swap<Badge>(badge) : what == 1 ? swap<Silver>(badge) : swap<Gold>(badge);
  const bool swapped = (co_await std::move(swapping)).has_value();
  --handle->swapping;
  ledger->swaps += swapped ? 1 : 0;
  // One that failed may have come about on some nodes, until the next that did not.
  if (!swapped) handle->uneven = true;
  if (swapped && alone && handle->swaps == number) handle->uneven = false;
  const std::uint64_t begun = handle->swaps;
  if (handle->uneven || handle->swapping != 0) co_return;
  const auto all = co_await badge.everywhere().every_core().within(5s).gather<&Badge::metal>();
  if (!all || handle->swaps != begun || all->value.empty()) co_return;
  ++ledger->looks;
  for (const auto& each : all->value) {
    if (each.value != all->value.front().value) violated(describe(*handle) + " has two implementations, but the last swap left one");
  }
}

/// Out of the memory of this node, where its home may be. One at a time, so that it is known which instance is the first again.
task<void> drop_token(Handle* handle, ref<Token> token) {
  if (handle->dropping) co_return;
  handle->dropping = true;
  forget_constructions(token.id());
  const auto dropped = co_await drop(token);
  ledger->drops += dropped && *dropped != 0 ? 1 : 0;
  if (dropped && *dropped != 0) forget_constructions(token.id());
  handle->dropping = false;
}

task<void> move(Handle* handle) {
  const OpenCall open("a move, drop or swap of " + describe(*handle));
  World& world = World::instance();
  const std::vector<Member> members = Node::current()->members();
  const Member& target = any_member(members);
  if (const auto* token = std::get_if<ref<Token>>(&handle->object)) {
    if (world.pick(0, 2) == 0) co_return co_await drop_token(handle, *token);
    const Result<void> moved = co_await migrate(*token, target.id, any_core(target));
    static_cast<void>(moved);
  } else if (const auto* badge = std::get_if<ref<Badge>>(&handle->object)) {
    if (world.pick(0, 2) == 0) {
      ledger->drops += (co_await drop(*badge)).has_value() ? 1 : 0;
    } else {
      co_await replace(handle, *badge);
    }
  }
}

/// One whose references may still be used: it lives, or it ended less than the grace ago.
Handle* any_handle() {
  World& world = World::instance();
  std::vector<Handle*> all;
  for (const auto& each : ledger->handles) {
    const bool past = each->ending && (!each->destroyed || world.now() > *each->destroyed + kGrace / 2);
    if (!past && !may_never_have_been(*each)) all.push_back(each.get());
  }
  return all.empty() ? nullptr : all[world.pick(0, all.size() - 1)];
}

task<void> client(Cluster* cluster, bool* begun) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(cluster->pause(2ms, 300ms));
    if (!*begun || cluster->ending) continue;
    Handle* handle = any_handle();
    const std::uint64_t what = world.pick(0, 9);
    if (handle == nullptr || what == 0) {
      co_await make();
    } else if (what == 1 && !handle->ending) {
      co_await end(handle);
    } else if (what == 2) {
      co_await move(handle);
    } else {
      co_await use(handle);
    }
  }
}

/// On the front end: asks a backend to leave, now and then.
task<void> dismiss(Cluster* cluster) {
  World& world = cluster->world();
  while (!cluster->ending && world.now() < Time(140s)) {
    co_await sleep_for(std::chrono::milliseconds(world.pick(3'000, 12'000)));
    const auto members = Node::current()->members();
    if (members.size() < 4 || cluster->ending) continue;
    co_await Cluster::dismiss(cluster, members[world.pick(1, members.size() - 1)].id);
    cluster->add_backend();
  }
}

task<void> begin(Cluster* cluster, bool* begun) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  *begun = true;
  auto both = when_all(client(cluster, begun), dismiss(cluster));
  co_await std::move(both);
}

}  // namespace

Outcome run_life(const Settings& settings) {
  Ledger own;
  ledger = &own;
  bool begun = false;
  Trial trial(
      settings, [&begun](Cluster* self) { return begin(self, &begun); }, [&begun](Cluster* self) { return client(self, &begun); });
  own.cluster = &trial.cluster;
  trial.cluster.ids = Cluster::Ids{kIds, kGrace, kForget};
  if (trial.world.pick(0, 2) != 0) trial.trouble(settings.nodes < kManyNodes ? 150s : 43s);
  trial.must_answer(175s, 190s, own.successes);

  trial.outcome.operations = own.operations;
  trial.outcome.successes = own.successes;
  trial.outcome.report = std::to_string(own.handles.size()) + " creations, of which " + std::to_string(own.reused) +
                         " had an id again; " + std::to_string(own.swaps) + " swaps, which " + std::to_string(own.looks) + " times were looked at, " + std::to_string(own.drops) + " drops";
  std::set<ObjectId> not_ended;
  for (const auto& handle : own.handles) {
    if (handle->ending && !handle->destroyed) not_ended.insert(handle->id());
  }
  return trial.finish(not_ended);
}

}  // namespace ebb::sim
