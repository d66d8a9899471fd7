// The rest of the platform, as the simulated world answers it.
#include "ebb/platform/platform.h"
#include "ebb/platform/ticks.h"

#include "tests/sim/world.h"

namespace ebb::platform {

using sim::World;

Clock::time_point Clock::now() noexcept {
  World& world = World::instance();
  return time_point(world.clock_of(world.node()));
}

// None: virtual time is the only one.
std::uint64_t ticks() noexcept { return 0; }

// None, so that no core polls while it is idle: that would only be virtual time spent on nothing.
std::size_t available_cores() noexcept { return 0; }

Result<void> enter_core(CoreIndex) { return {}; }
void leave_core() noexcept {}

bool poll() {
  World& world = World::instance();
  const bool any = world.run_callbacks();
  world.yield_core();
  return any;
}

void wait(Instant deadline) {
  World& world = World::instance();
  world.wait_until(world.world_time(world.node(), deadline));
  world.run_callbacks();
}

void wake(CoreIndex core) noexcept {
  World& world = World::instance();
  world.wake(world.core().node, core);
}

void fill_random(std::span<std::byte> bytes) {
  World& world = World::instance();
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(world.random()());
}

Result<std::vector<std::byte>> launch_secret() { return Error(Errc::not_found, "simulated nodes get their key otherwise"); }

void write_log(std::string_view line) noexcept { World::instance().say(line); }

void exit_node(int status) noexcept { World::instance().end_running_node(status); }

}  // namespace ebb::platform
