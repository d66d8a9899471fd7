// A cluster in one thread: many nodes, virtual time, one seed. The nodes run the real runtime; what they ask of the platform
// (include/ebb/platform) is answered here.
//
// Each core of each node is a fiber that runs the real event loop. It runs until it waits or polls; then the scheduler goes on
// with whatever is next in virtual time. Nothing else decides: the same seed gives the same run.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"
#include "src/async/context_stack.h"
#include "src/async/core_state.h"

namespace ebb::sim {

/// Nanoseconds since the world began, the same for all nodes; each node's own clock runs at a rate of its own.
using Time = std::chrono::nanoseconds;

class World;
class SimStream;

/// One core of a simulated node.
struct SimCore {
  std::uint32_t node = 0;  // the simulator's number of the node, from 1
  CoreIndex index{};
  std::unique_ptr<detail::ContextStack> fiber;  // where it began
  detail::ContextStack parked;                  // where it waits
  bool started = false;
  bool ended = false;
  std::unique_ptr<detail::CoreState> state;
  Core* current = nullptr;     // detail::current_core while it runs
  void** translation = nullptr;  // the table of its representatives
  std::uint64_t wait_number = 0;  // wake-ups of earlier waits are stale
  Time wakes_at = Time::max();    // if nothing comes before; while it waits
  Time alarm = Time::max();       // when somebody looks whether it is to wake
  Time paused_until{};            // nothing runs here before
  // What the network brings, to be handed over inside poll() or wait().
  std::deque<std::function<void()>> callbacks;
};

struct SimNode {
  std::uint32_t number = 0;
  std::string name;
  bool alive = true;
  bool silent = false;          // it has crashed, and nothing there refuses connections
  std::optional<int> status;    // how it ended by itself
  double clock_rate = 1.0;
  Time clock_base{};            // world time at which the rate was set
  Time clock_value{};           // and what its clock said
  std::function<task<int>()> main;
  std::vector<std::unique_ptr<SimCore>> cores;
  std::map<std::uint64_t, SimStream*> streams;  // in the order of their making: of addresses the run must not depend
  std::uint64_t streams_made = 0;
};

struct Listening {
  std::uint32_t node;
  CoreIndex core;
  platform::AcceptHandler accept;
};

/// The one world of this process (fork for another).
class World {
 public:
  explicit World(std::uint64_t seed);

  /// Starts a node with so many cores; its core 0 runs `main`, and the node ends with it. Its number, from 1.
  std::uint32_t add(std::string name, std::size_t cores, std::function<task<int>()> main);
  /// Ends a node at once, in the middle of whatever it does. `noisy`: its peers learn of it by resets, as from a process that
  /// died; else by silence, as from a machine without power.
  void crash(std::uint32_t node, bool noisy);
  /// Nothing passes from `from` to `to` until it is mended; what is under way waits.
  void cut(std::uint32_t from, std::uint32_t to) { cut_.insert({from, to}); }
  void mend(std::uint32_t from, std::uint32_t to);
  void mend_all();
  bool is_cut(std::uint32_t from, std::uint32_t to) const { return cut_.contains({from, to}); }
  /// Breaks all connections between two nodes.
  void reset_connections(std::uint32_t a, std::uint32_t b);
  /// The same, but only `node` takes notice of it.
  void lose_connections(std::uint32_t node, std::uint32_t to);
  void set_clock_rate(std::uint32_t node, double rate);
  /// A core runs nothing for so long, and then goes on; its clock and the network do so meanwhile. The second: all of a node's.
  void pause(std::uint32_t node, CoreIndex core, Time length);
  void pause(std::uint32_t node, Time length);

  /// Calls `what` at a time of the world, outside all nodes.
  void at(Time when, std::function<void()> what) { push(when, std::move(what)); }
  /// Looks at what a node that lives has, as its core 0 while nothing runs: for what neither waits nor calls.
  void inside(std::uint32_t node, const std::function<void()>& look);
  /// Runs until then, or until nothing happens any more.
  void run_until(Time end);

  Time now() const noexcept { return now_; }
  bool alive(std::uint32_t node) const { return nodes_.at(node - 1)->alive && !nodes_.at(node - 1)->status; }
  std::optional<int> status(std::uint32_t node) const { return nodes_.at(node - 1)->status; }
  std::size_t nodes() const noexcept { return nodes_.size(); }
  std::mt19937_64& random() noexcept { return random_; }
  /// A number in [least, most].
  std::uint64_t pick(std::uint64_t least, std::uint64_t most) { return std::uniform_int_distribution<std::uint64_t>(least, most)(random_); }
  /// Of everything that was scheduled: two runs that differ anywhere differ here.
  std::uint64_t trace() const noexcept { return trace_; }
  std::uint64_t steps() const noexcept { return steps_; }
  /// Prints what nodes log, with node and time.
  bool verbose = false;
  std::vector<std::string> log;

  // --- for the platform ---
  static World& instance() noexcept;
  SimCore& core() noexcept { return *running_; }
  SimNode& node() noexcept { return *nodes_[running_->node - 1]; }
  SimNode& node(std::uint32_t number) noexcept { return *nodes_[number - 1]; }
  Time clock_of(const SimNode& node) const;
  Time world_time(const SimNode& node, platform::Instant instant) const;
  void wait_until(Time deadline);
  void yield_core();
  /// The running core does nothing else until then, as one that computes.
  void compute_until(Time when);
  void wake(std::uint32_t node, CoreIndex core);
  void say(std::string_view line);
  [[noreturn]] void end_running_node(int status);
  /// Hands `callback` to a core at `when`.
  void deliver(Time when, std::uint32_t node, CoreIndex core, std::function<void()> callback);
  /// The same at once, from outside all nodes.
  void hand_over(std::uint32_t node, CoreIndex core, std::function<void()> callback);
  /// How long what is sent now is on its way.
  Time latency();
  /// Always 100 us instead of mostly quick and now and then slow: for measurements.
  bool even_network = false;
  bool run_callbacks();
  std::map<std::pair<std::uint32_t, std::uint16_t>, std::vector<Listening>> listeners;  // by node and port
  std::uint16_t next_port = 10'000;

 private:
  struct Item {
    Time when;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Item& other) const noexcept {
      return when != other.when ? when > other.when : order > other.order;
    }
  };

  void push(Time when, std::function<void()> what);
  void resume(SimCore& core);
  void set_alarm(SimCore& core);
  static void core_main(void* core);
  void switch_out();

  std::mt19937_64 random_;
  Time now_{};
  std::uint64_t order_ = 0;
  std::uint64_t trace_ = 0;
  std::uint64_t steps_ = 0;
  std::priority_queue<Item> queue_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> cut_;
  detail::ContextStack scheduler_;
  SimCore* running_ = nullptr;
};

/// The node's address on the simulated network, and back.
inline std::uint32_t address_of(std::uint32_t node) noexcept { return 0x0a00'0000u + node; }
inline std::uint32_t node_at(std::uint32_t address) noexcept { return address - 0x0a00'0000u; }

/// The streams of a node that lead to another are reset; all those of a node that is no more.
void break_streams(World& world, std::uint32_t node, std::uint32_t to);
void abandon_streams(World& world, SimNode& node, bool noisy);
/// What waited for a cut link goes on.
void release_streams(World& world);

}  // namespace ebb::sim
