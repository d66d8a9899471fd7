#include "tests/sim/world.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "ebb/async/runtime.h"
#include "ebb/base/hash.h"
#include "ebb/base/node_local.h"
#include "ebb/platform/translation_table.h"

namespace ebb::sim {
namespace {

World* the_world = nullptr;

// How long a core that polls is away: a core that is never idle must not stop the world.
constexpr Time kPollCost = std::chrono::microseconds(1);

detail::Detached run_main(std::function<task<int>()>* main) {
  int status = 1;
  try {
    status = co_await (*main)();
  } catch (const ErrorException& error) {
    platform::write_log(error.what());
  }
  request_stop(status);
}

}  // namespace

World::World(std::uint64_t seed) : random_(seed) {
  if (the_world != nullptr) std::abort();  // one a process
  the_world = this;
}

World& World::instance() noexcept { return *the_world; }

void World::push(Time when, std::function<void()> what) {
  queue_.push({std::max(when, now_), ++order_, std::move(what)});
}

std::uint32_t World::add(std::string name, std::size_t cores, std::function<task<int>()> main) {
  auto node = std::make_unique<SimNode>();
  node->number = static_cast<std::uint32_t>(nodes_.size() + 1);
  node->name = std::move(name);
  node->main = std::move(main);
  node->clock_base = now_;
  // No two clocks agree on when the world began.
  node->clock_value = std::chrono::seconds(1000 + pick(0, 100'000));
  for (std::size_t index = 0; index < cores; ++index) {
    auto core = std::make_unique<SimCore>();
    core->node = node->number;
    core->index = CoreIndex(static_cast<std::uint16_t>(index));
    void* const table = mmap(nullptr, platform::kTranslationTableBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    core->translation = static_cast<void**>(table);
    core->fiber = detail::ContextStack::create(&World::core_main, core.get());
    if (table == MAP_FAILED || core->fiber == nullptr) {
      std::fprintf(stderr, "no memory for another simulated core\n");
      std::abort();
    }
    node->cores.push_back(std::move(core));
  }
  SimNode* added = node.get();
  nodes_.push_back(std::move(node));
  // The others first: core 0 may call them as soon as it runs.
  for (std::size_t index = cores; index-- > 0;) {
    push(now_, [this, core = added->cores[index].get()] { resume(*core); });
  }
  return added->number;
}

void World::core_main(void* argument) {
  SimCore& core = *static_cast<SimCore*>(argument);
  SimNode& node = the_world->node(core.node);
  const bool first = core.index == CoreIndex{0};
  if (first) detail::begin_run();
  core.state = std::make_unique<detail::CoreState>(core.index, node.cores.size());
  if (first) {
    detail::set_core_count(node.cores.size());
    core.state->core().spawn([&node] { run_main(&node.main); });
  }
  core.state->run();
  if (first) {
    // The others' loops end too, but what they still hold is not looked at any more: the node is over.
    node.status = detail::end_run();
    abandon_streams(*the_world, node, true);
  }
  core.ended = true;
  for (;;) the_world->switch_out();
}

void World::resume(SimCore& core) {
  const SimNode& owner = node(core.node);
  if (core.ended || !owner.alive || owner.status) return;
  if (core.paused_until > now_) {
    // The first that comes then wakes it.
    push(core.paused_until, [this, &core, mine = core.wait_number] {
      if (core.wait_number == mine) resume(core);
    });
    return;
  }
  ++core.wait_number;
  core.wakes_at = Time::max();
  running_ = &core;
  detail::simulated_node = core.node;
  detail::current_core = core.current;
  translation_table = core.translation;
  detail::ContextStack& there = core.started ? core.parked : *core.fiber;
  core.started = true;
  scheduler_.switch_to(there);
  running_ = nullptr;
  detail::simulated_node = 0;
  detail::current_core = nullptr;
}

void World::inside(std::uint32_t number, const std::function<void()>& look) {
  SimCore& core = *node(number).cores.front();
  running_ = &core;
  detail::simulated_node = number;
  detail::current_core = core.current;
  look();
  running_ = nullptr;
  detail::simulated_node = 0;
  detail::current_core = nullptr;
}

void World::switch_out() {
  SimCore& core = *running_;
  core.current = detail::current_core;
  core.parked.switch_to(scheduler_);
}

void World::run_until(Time end) {
  while (!queue_.empty() && queue_.top().when <= end) {
    Item item = std::move(const_cast<Item&>(queue_.top()));  // it is popped before anything looks at it again
    queue_.pop();
    now_ = item.when;
    ++steps_;
    trace_ = mix64(trace_ ^ static_cast<std::uint64_t>(now_.count())) + item.order;
    item.what();
  }
  now_ = std::max(now_, end);
}

// --- a core's waiting ---

void World::wait_until(Time deadline) {
  SimCore& core = *running_;
  if (!core.callbacks.empty()) return;
  core.wakes_at = deadline;
  set_alarm(core);
  switch_out();
}

/// One of an earlier wait that comes no later will do: most waits end before their time, by what the network brings.
void World::set_alarm(SimCore& core) {
  if (core.wakes_at >= core.alarm) return;
  core.alarm = core.wakes_at;
  push(core.alarm, [this, &core, when = core.alarm] {
    if (core.alarm != when) return;  // a sooner one has taken its place
    core.alarm = Time::max();
    if (core.wakes_at <= now_) {
      resume(core);
    } else {
      set_alarm(core);
    }
  });
}

void World::yield_core() {
  SimCore& core = *running_;
  const std::uint64_t mine = core.wait_number;
  push(now_ + kPollCost, [this, &core, mine] {
    if (core.wait_number == mine) resume(core);
  });
  switch_out();
}

void World::compute_until(Time when) {
  SimCore& core = *running_;
  say("core " + std::to_string(to_number(core.index)) + " computes until " + std::to_string(when.count() / 1'000'000) + " ms");
  push(when, [this, &core] { resume(core); });
  while (now_ < when) switch_out();
}

void World::wake(std::uint32_t number, CoreIndex index) {
  SimCore& core = *node(number).cores[to_number(index)];
  if (&core == running_) return;
  push(now_ + std::chrono::nanoseconds(pick(100, 2000)), [this, &core] { resume(core); });
}

void World::deliver(Time when, std::uint32_t number, CoreIndex index, std::function<void()> callback) {
  push(when, [this, number, index, callback = std::move(callback)]() mutable { hand_over(number, index, std::move(callback)); });
}

void World::hand_over(std::uint32_t number, CoreIndex index, std::function<void()> callback) {
  const SimNode& owner = node(number);
  SimCore& core = *owner.cores[to_number(index)];
  if (!owner.alive || owner.status || core.ended || !core.started) return;
  core.callbacks.push_back(std::move(callback));
  resume(core);
}

bool World::run_callbacks() {
  SimCore& core = *running_;
  bool any = false;
  while (!core.callbacks.empty()) {
    const auto callback = std::move(core.callbacks.front());
    core.callbacks.pop_front();
    callback();
    any = true;
  }
  return any;
}

Time World::latency() {
  if (even_network) return std::chrono::microseconds(100);
  // Mostly quick, now and then slow.
  const std::uint64_t most = pick(0, 50) == 0 ? 20'000'000 : 300'000;
  return std::chrono::nanoseconds(pick(20'000, most));
}

// --- faults ---

void World::crash(std::uint32_t number, bool noisy) {
  SimNode& victim = node(number);
  if (!victim.alive || victim.status) return;
  victim.alive = false;
  victim.silent = !noisy;
  say("crash of " + victim.name + (noisy ? "" : ", silent"));
  abandon_streams(*this, victim, noisy);
}

void World::end_running_node(int status) {
  SimNode& over = node();
  over.status = status;
  abandon_streams(*this, over, true);
  for (;;) switch_out();
}

void World::mend(std::uint32_t from, std::uint32_t to) {
  cut_.erase({from, to});
  release_streams(*this);
}

void World::mend_all() {
  cut_.clear();
  release_streams(*this);
}

void World::reset_connections(std::uint32_t a, std::uint32_t b) {
  break_streams(*this, a, b);
  break_streams(*this, b, a);
}

void World::lose_connections(std::uint32_t number, std::uint32_t to) { break_streams(*this, number, to); }

void World::set_clock_rate(std::uint32_t number, double rate) {
  SimNode& node = *nodes_[number - 1];
  node.clock_value = clock_of(node);
  node.clock_base = now_;
  node.clock_rate = rate;
}

void World::pause(std::uint32_t number, CoreIndex index, Time length) {
  SimCore& core = *node(number).cores[to_number(index)];
  say(node(number).name + " core " + std::to_string(to_number(index)) + " stops for " + std::to_string(length / std::chrono::milliseconds(1)) +
      " ms");
  core.paused_until = std::max(core.paused_until, now_ + length);
}

void World::pause(std::uint32_t number, Time length) {
  for (const auto& core : node(number).cores) pause(number, core->index, length);
}

Time World::clock_of(const SimNode& node) const {
  return node.clock_value + Time(static_cast<Time::rep>(static_cast<double>((now_ - node.clock_base).count()) * node.clock_rate));
}

Time World::world_time(const SimNode& node, platform::Instant instant) const {
  if (instant == platform::kNever) return Time::max();
  const double left = static_cast<double>((instant.time_since_epoch() - clock_of(node)).count());
  return left <= 0 ? now_ : now_ + Time(static_cast<Time::rep>(left / node.clock_rate) + 1);
}

void World::say(std::string_view line) {
  char head[64];
  std::snprintf(head, sizeof head, "%10.6f %-6s ", std::chrono::duration<double>(now_).count(),
                running_ == nullptr ? "world" : node().name.c_str());
  log.push_back(head + std::string(line));
  if (verbose) std::fprintf(stderr, "%s\n", log.back().c_str());
}

}  // namespace ebb::sim
