// Policies of an application's own, from nothing and derived from each of the kinds, and objects of them. Their handlers count
// what they do.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"

namespace ebb::test {

inline std::int64_t core_number() { return to_number(Core::current().index()); }
inline std::int64_t node_number() { return to_number(this_node()); }

// --- what handlers have done ---

/// Of one policy, on one node.
struct Tally {
  std::int64_t roots = 0;
  std::int64_t made = 0;
  std::int64_t ended = 0;
  std::int64_t roots_ended = 0;
  friend bool operator==(const Tally&, const Tally&) = default;
};

/// The same, counted on all cores of the node.
struct Tallied {
  std::atomic<std::int64_t> roots{0}, made{0}, ended{0}, roots_ended{0};
  std::atomic<std::int64_t> served{0};    ///< calls that came from other nodes
  std::atomic<std::int64_t> homes{0};     ///< how often a core heard that it has become the home
  std::atomic<std::int64_t> refusals{0};  ///< how often the handler is to throw before it does anything
};

enum Policy : std::uint32_t { kMirrored, kAtCoreZero, kSeeded, kWarmed, kFurnished, kRefurnished, kCopied, kSpread, kPolicies };
inline std::array<Tallied, kPolicies> tallies;

inline void refuse_if_asked(Policy policy) {
  if (tallies[policy].refusals <= 0) return;
  --tallies[policy].refusals;
  throw ErrorException(Error(Errc::permission_denied, "the handler will not"));
}

// --- from nothing ---

/// Where originals are. Only the front end's handlers need not ask another node for it.
struct Registry {
  using policy = single_home;
  std::map<std::uint32_t, NodeId> owners;
  void enter(std::uint32_t id, NodeId owner) { owners[id] = owner; }
  Result<NodeId> find(std::uint32_t id) const {
    const auto found = owners.find(id);
    if (found == owners.end()) return Error(Errc::not_found, "nobody owns it");
    return found->second;
  }
  using interface = ebb::interface<"test.Registry/1", method<"enter", &Registry::enter>, method<"find", &Registry::find>>;
};
inline constexpr static_object<Registry, 100> kRegistry;

/// What the cores of a node share of a mirrored object: the value itself on the owner, elsewhere a copy.
struct Mirror {
  NodeId owner = kNoNode;
  std::atomic<std::int64_t> value{0};
};

/// The original on the node that the registry names, proxies everywhere else: reads are served from what the miss handler
/// fetched, writes go on to the owner, which tells all mirrors.
struct mirrored {
  static constexpr std::string_view name = "test.mirrored";
  template <class T>
  using pointer = T*;
  template <class T>
  static target<T> route(ObjectId id) noexcept {
    return target<T>(id, kAnyCore);
  }
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ObjectId id) {
    auto mirror = std::make_unique<Mirror>();
    mirror->owner = block_on(kRegistry.call<&Registry::find>(id.index())).value();
    const auto object = ref<T>::unchecked(id);
    if (mirror->owner != this_node()) mirror->value = block_on(object.on(mirror->owner).template call<&T::read>()).value();
    ++tallies[kMirrored].roots;
    return mirror.release();
  }
  template <class T>
  static void end_root(void* root) {
    ++tallies[kMirrored].roots_ended;
    delete static_cast<Mirror*>(root);
  }
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    ++tallies[kMirrored].made;
    return T::make(id, static_cast<Mirror*>(root)).release();
  }
  template <class T>
  static void end_representative(T* representative, void* root) {
    if (representative->mirror == root) ++tallies[kMirrored].ended;  // which is still there
    delete representative;
  }
};

struct Gauge {
  using policy = mirrored;
  static std::unique_ptr<Gauge> make(ObjectId id, Mirror* mirror);
  explicit Gauge(Mirror* shared) : mirror(shared) {}
  virtual ~Gauge() = default;
  virtual task<Result<void>> set(std::int64_t value) = 0;
  virtual std::string what() const = 0;
  std::int64_t read() const { return mirror->value; }
  void refresh(std::int64_t value) { mirror->value = value; }
  Mirror* mirror;
  using interface = ebb::interface<"test.Gauge/1", method<"set", &Gauge::set>, method<"what", &Gauge::what>,
                                   method<"read", &Gauge::read>, method<"refresh", &Gauge::refresh>>;
};

struct Original final : Gauge {
  Original(ObjectId id, Mirror* shared) : Gauge(shared), self(ref<Gauge>::unchecked(id)) {}
  task<Result<void>> set(std::int64_t value) override {
    mirror->value = value;
    const auto told = co_await self.everywhere().call<&Gauge::refresh>(value);
    if (!told) co_return told.error();
    co_return Result<void>();
  }
  std::string what() const override { return "original"; }
  ref<Gauge> self;
};

struct Proxy final : Gauge {
  Proxy(ObjectId id, Mirror* shared) : Gauge(shared), self(ref<Gauge>::unchecked(id)) {}
  task<Result<void>> set(std::int64_t value) override { return self.on(mirror->owner).call<&Gauge::set>(value); }
  std::string what() const override { return "proxy"; }
  ref<Gauge> self;
};

inline std::unique_ptr<Gauge> Gauge::make(ObjectId id, Mirror* shared) {
  if (shared->owner == this_node()) return std::make_unique<Original>(id, shared);
  return std::make_unique<Proxy>(id, shared);
}

/// One instance a node, on its core 0, to which calls from the other cores go; these have none.
struct at_core_zero {
  static constexpr std::string_view name = "test.at_core_zero";
  template <class T>
  using pointer = void;
  template <class T>
  static target<T> route(ObjectId id) noexcept {
    return target<T>(id, CoreIndex{0});
  }
  template <class T>
  static constexpr bool kHasRoot = false;
  template <class T>
  static T* on_miss(ObjectId, void*) {
    if (core_number() != 0) throw ErrorException(Error(Errc::invalid_argument, "it lives on core 0"));
    ++tallies[kAtCoreZero].made;
    return new T(node_number());
  }
  template <class T>
  static void end_representative(T* representative, void*) {
    ++tallies[kAtCoreZero].ended;
    delete representative;
  }
  static task<Result<Bytes>> serve(ObjectId, void* representative, const detail::RemoteMethod& method, Bytes arguments,
                                   detail::ServedCaller caller) {
    ++tallies[kAtCoreZero].served;
    return method.invoke(representative, std::move(arguments), caller.context);
  }
};

struct Desk {
  using policy = at_core_zero;
  explicit Desk(std::int64_t number) : node(number) {}
  std::int64_t node;
  std::int64_t place() const { return node * 100 + core_number(); }
  using interface = ebb::interface<"test.Desk/1", method<"place", &Desk::place>>;
};

// --- derived from kinds with a representative a core or a node ---

struct seeded : per_core {
  static constexpr std::string_view name = "test.seeded";
  template <class T>
  static T* on_miss(ObjectId id, void*) {
    ++tallies[kSeeded].made;
    return new T(std::int64_t{id.index()} * 10'000 + node_number() * 100 + core_number());
  }
  template <class T>
  static void end_representative(T* representative, void* root) {
    ++tallies[kSeeded].ended;
    per_core::end_representative(representative, root);
  }
};

struct Dice {
  using policy = seeded;
  explicit Dice(std::int64_t number) : seed(number) {}
  std::int64_t seed;
  std::int64_t look() const { return seed; }
  static std::int64_t expected(ObjectId id, NodeId node, std::uint16_t core) {
    return std::int64_t{id.index()} * 10'000 + to_number(node) * 100 + core;
  }
  using interface = ebb::interface<"test.Dice/1", method<"look", &Dice::look>>;
};
inline constexpr static_object<Dice, 101> kDice;

struct warmed : per_node {
  static constexpr std::string_view name = "test.warmed";
  template <class T>
  static void* make_root(ObjectId) {
    ++tallies[kWarmed].roots;
    return new T(node_number());
  }
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    ++tallies[kWarmed].made;
    return per_node::on_miss<T>(id, root);
  }
  template <class T>
  static void end_root(void* root) {
    ++tallies[kWarmed].roots_ended;
    per_node::end_root<T>(root);
  }
};

struct Stove {
  using policy = warmed;
  explicit Stove(std::int64_t degrees) : heat(degrees) {}
  std::atomic<std::int64_t> heat;
  std::int64_t stoke() { return heat += 1000; }
  using interface = ebb::interface<"test.Stove/1", method<"stoke", &Stove::stoke>>;
};

// --- derived from kinds with one instance ---

/// A home that has what it needs of another object before the first call; that may wait, and fail. Whatever may fail comes first:
/// from the kind's own handler on the state that moved here is in the instance, and nowhere else. It has a root, which its
/// representatives must not outlive, and its own way to serve calls.
template <class Home, Policy kPolicy>
struct furnished_home : Home {
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ObjectId) {
    ++tallies[kPolicy].roots;
    return new std::int64_t(node_number());
  }
  template <class T>
  static void end_root(void* root) {
    ++tallies[kPolicy].roots_ended;
    delete static_cast<std::int64_t*>(root);
  }
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    refuse_if_asked(kPolicy);
    const auto dice = block_on(find<Dice>("dice")).value();
    const std::int64_t seed = block_on(dice.on(kFrontEndNode, CoreIndex{0}).template call<&Dice::look>()).value();
    T* instance = Home::template on_miss<T>(id, root);
    instance->furniture = seed;
    ++tallies[kPolicy].made;
    return instance;
  }
  template <class T>
  static void end_representative(T* representative, void* root) {
    if (root != nullptr && *static_cast<std::int64_t*>(root) == node_number()) ++tallies[kPolicy].ended;
    Home::template end_representative<T>(representative, root);
  }
  static task<Result<Bytes>> serve(ObjectId, void* representative, const detail::RemoteMethod& method, Bytes arguments,
                                   detail::ServedCaller caller) {
    ++tallies[kPolicy].served;
    return method.invoke(representative, std::move(arguments), caller.context);
  }
};
struct furnished : furnished_home<single_home, kFurnished> {
  static constexpr std::string_view name = "test.furnished";
};
struct refurnished : furnished_home<remade_home, kRefurnished> {
  static constexpr std::string_view name = "test.refurnished";
  static void become_home(ObjectId) { ++tallies[kRefurnished].homes; }
};

struct Room {
  std::int64_t guests = 0;
  std::int64_t furniture = 0;
  bool lost = false;
  std::int64_t enter(std::int64_t count) { return guests += count; }
  task<std::int64_t> enter_slowly(std::int64_t count) {
    co_await sleep_for(std::chrono::milliseconds(20));
    co_return enter(count);
  }
  std::int64_t look() const { return furniture; }
  bool was_lost() const { return lost; }
  std::int64_t place() const { return node_number() * 100 + core_number(); }
  std::int64_t save() const { return guests; }
  void restore(std::int64_t state) { guests = state; }
};
struct Study : Room {
  using policy = furnished;
  using interface = ebb::interface<"test.Study/1", method<"enter", &Study::enter>, method<"enter_slowly", &Study::enter_slowly>,
                                   method<"look", &Study::look>, method<"place", &Study::place>>;
};
struct Hall : Room {
  using policy = refurnished;
  void on_lost(const home_lost&) { lost = true; }
  using interface = ebb::interface<"test.Hall/1", method<"enter", &Hall::enter>, method<"enter_slowly", &Hall::enter_slowly>,
                                   method<"look", &Hall::look>, method<"place", &Hall::place>, method<"was_lost", &Hall::was_lost>>;
};

// --- derived from kinds with replicas and partitions ---

struct copied : replicated {
  static constexpr std::string_view name = "test.copied";
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    refuse_if_asked(kCopied);
    T* replica = replicated::on_miss<T>(id, root);
    replica->core = node_number() * 100 + core_number();
    ++tallies[kCopied].made;
    return replica;
  }
  template <class T>
  static void end_representative(T* representative, void* root) {
    ++tallies[kCopied].ended;
    replicated::end_representative<T>(representative, root);
  }
};

struct Board {
  using policy = copied;
  std::vector<std::int64_t> lines;
  std::int64_t core = -1;  ///< that of the replica, not of the object: no part of its state
  void write(std::int64_t line) { lines.push_back(line); }
  std::vector<std::int64_t> save() const { return lines; }
  void restore(std::vector<std::int64_t> state) { lines = std::move(state); }
  using interface = ebb::interface<"test.Board/1", method<"write", &Board::write>>;
};

struct spread : partitioned {
  static constexpr std::string_view name = "test.spread";
  template <class T>
  static void* on_miss(ObjectId id, void* root) {
    refuse_if_asked(kSpread);
    void* share = partitioned::on_miss<T>(id, root);
    ++tallies[kSpread].made;
    return share;
  }
  template <class T>
  static void end_representative(void* representative, void* root) {
    ++tallies[kSpread].ended;
    partitioned::end_representative<T>(representative, root);
  }
};

struct Shelf {
  using policy = spread;
  static constexpr std::uint32_t kPartitions = 64;
  std::int64_t sum = 0;
  std::int64_t add(std::int64_t amount) { return sum += amount; }
  std::int64_t total() const { return sum; }
  std::int64_t place() const { return node_number() * 100 + core_number(); }
  std::int64_t save() const { return sum; }
  void restore(std::int64_t state) { sum = state; }
  using interface = ebb::interface<"test.Shelf/1", method<"add", &Shelf::add>, method<"total", &Shelf::total>,
                                   method<"place", &Shelf::place>>;
};

}  // namespace ebb::test
