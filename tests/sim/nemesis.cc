#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

// At least so many backends are left alone.
constexpr std::size_t kLeastAlive = 3;
constexpr std::uint32_t kFrontEnd = 1;

}  // namespace

void Nemesis::trouble(Time begin, Time end) {
  World& world = cluster_.world();
  // Rates within what kClockDriftPart allows between any two.
  for (std::uint32_t node = 1; node <= world.nodes(); ++node) {
    world.set_clock_rate(node, 0.976 + 0.0001 * static_cast<double>(world.pick(0, 480)));
  }
  for (Time when = begin; when < end; when += std::chrono::milliseconds(world.pick(100, 4'000))) {
    world.at(when, [this] { act(); });
  }
}

std::uint32_t Nemesis::any_backend() {
  std::vector<std::uint32_t> alive;
  for (const std::uint32_t each : cluster_.backends) {
    if (cluster_.world().alive(each)) alive.push_back(each);
  }
  return alive.empty() ? 0 : alive[cluster_.world().pick(0, alive.size() - 1)];
}

void Nemesis::cut_for_a_while(std::uint32_t from, std::uint32_t to) {
  World& world = cluster_.world();
  // Some are over before anybody takes notice, some make a lease run out, some a member count as gone.
  const Time length = std::chrono::milliseconds(world.pick(0, 2) == 0 ? world.pick(10, 900) : world.pick(900, 9'000));
  world.say("cut from " + std::to_string(from) + " to " + std::to_string(to) + " for " +
            std::to_string(std::chrono::duration<double>(length).count()) + " s");
  world.cut(from, to);
  world.at(world.now() + length, [&world, from, to] { world.mend(from, to); });
}

void Nemesis::act() {
  World& world = cluster_.world();
  const std::uint32_t victim = any_backend();
  if (victim == 0) return;
  std::size_t alive = 0;
  for (const std::uint32_t each : cluster_.backends) alive += world.alive(each) ? 1 : 0;
  switch (world.pick(0, 10)) {
    case 0:
    case 1:
      if (alive > kLeastAlive) world.crash(victim, world.pick(0, 1) == 0);
      break;
    case 2:
    case 3:
      if (alive > kLeastAlive) cut_for_a_while(victim, kFrontEnd);
      if (world.is_cut(victim, kFrontEnd) && world.pick(0, 1) == 0) cut_for_a_while(kFrontEnd, victim);
      break;
    case 4:
      if (alive > kLeastAlive) cut_for_a_while(kFrontEnd, victim);
      break;
    case 5:
    case 6: {
      const std::uint32_t other = any_backend();
      if (other == victim) break;
      cut_for_a_while(victim, other);
      if (world.pick(0, 1) == 0) cut_for_a_while(other, victim);
      break;
    }
    case 7: {
      const std::uint32_t other = any_backend();
      if (other != victim) world.reset_connections(victim, other);
      break;
    }
    case 8:
      if (alive <= kLeastAlive) break;
      // The front end believes that the node is gone, and the node hears nothing of it.
      world.say("the front end loses its connections to " + std::to_string(victim));
      world.cut(kFrontEnd, victim);
      world.at(world.now() + 9s, [&world, victim] { world.mend(kFrontEnd, victim); });
      world.lose_connections(kFrontEnd, victim);
      break;
    case 9:
      world.set_clock_rate(victim, 0.976 + 0.0001 * static_cast<double>(world.pick(0, 480)));
      break;
    default:
      if (alive < 8) {
        cluster_.add_backend();
        world.say("one more backend");
      }
      break;
  }
}

}  // namespace ebb::sim
