#include <algorithm>
#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kFrontEnd = 1;
/// Of how many backends the times and numbers below are; with more of them there is as much more of everything.
constexpr std::uint64_t kUsualBackends = 5;
// For longer than anybody looks for a node (src/node/search.h), whose attempts are to fail soon.
constexpr Time kRefusalEvery = 300us;
constexpr Time kRefusals = 60ms;

}  // namespace

void Nemesis::trouble(Time begin, Time end) {
  World& world = cluster_.world();
  // At least so many are left alone, and no more are there than so many.
  const std::size_t backends = cluster_.backends.size();
  least_alive_ = std::max<std::size_t>(3, backends * 3 / 5);
  // Those that were lost count as members for a while.
  most_alive_ = std::min(std::max<std::size_t>(8, backends * 8 / 5), kMaxNodes - kMaxNodes / 6);
  for (std::uint32_t node = 1; node <= world.nodes(); ++node) change_clock(node);
  const std::uint64_t often = std::max<std::uint64_t>(kUsualBackends, backends);
  for (Time when = begin; when < end; when += std::chrono::microseconds(world.pick(100'000, 4'000'000) * kUsualBackends / often)) {
    world.at(when, [this] { act(); });
  }
}

void Nemesis::change_clock(std::uint32_t node) {
  // Rates within what kClockDriftPart allows between any two.
  World& world = cluster_.world();
  world.set_clock_rate(node, 0.976 + 0.0001 * static_cast<double>(world.pick(0, 480)));
}

std::vector<std::uint32_t> Nemesis::alive() const {
  std::vector<std::uint32_t> all;
  for (const std::uint32_t each : cluster_.backends) {
    if (cluster_.world().alive(each)) all.push_back(each);
  }
  return all;
}

void Nemesis::cut_for_a_while(std::uint32_t from, std::uint32_t to) {
  World& world = cluster_.world();
  if (from == kFrontEnd) cluster_.harmed.insert(to);
  if (to == kFrontEnd) cluster_.harmed.insert(from);
  // Some are over before anybody takes notice, some make a lease run out, some a member count as gone.
  const Time length = std::chrono::milliseconds(world.pick(0, 2) == 0 ? world.pick(10, 900) : world.pick(900, 9'000));
  world.say("cut from " + std::to_string(from) + " to " + std::to_string(to) + " for " +
            std::to_string(std::chrono::duration<double>(length).count()) + " s");
  world.cut(from, to);
  world.at(world.now() + length, [&world, from, to] { world.mend(from, to); });
}

void Nemesis::lose_sight(std::uint32_t victim) {
  World& world = cluster_.world();
  cluster_.harmed.insert(victim);
  world.say("the front end loses its connections to " + std::to_string(victim));
  world.cut(kFrontEnd, victim);
  world.at(world.now() + 9s, [&world, victim] { world.mend(kFrontEnd, victim); });
  world.lose_connections(kFrontEnd, victim);
}

void Nemesis::lose_on_one_side(std::uint32_t victim, std::uint32_t other) {
  World& world = cluster_.world();
  // Under a cut the other side cannot be told, and holds what it has while the victim comes with another connection.
  if (world.pick(0, 1) == 0) cut_for_a_while(other, victim);
  world.say(std::to_string(victim) + " alone loses its connections to " + std::to_string(other));
  world.lose_connections(victim, other);
}

void Nemesis::make_unreachable(std::uint32_t victim) {
  World& world = cluster_.world();
  cluster_.harmed.insert(victim);
  world.say(std::to_string(victim) + " is unreachable");
  world.cut(kFrontEnd, victim);
  world.cut(victim, kFrontEnd);
  world.at(world.now() + 9s, [&world, victim] {
    world.mend(kFrontEnd, victim);
    world.mend(victim, kFrontEnd);
  });
  for (Time when{}; when < kRefusals; when += kRefusalEvery) {
    world.at(world.now() + when, [&world, victim] { world.lose_connections(kFrontEnd, victim); });
  }
}

void Nemesis::stop_for_a_while(std::uint32_t victim) {
  World& world = cluster_.world();
  cluster_.harmed.insert(victim);
  // The whole machine, for longer than it counts as a member; then it goes on as if nothing had been.
  world.pause(victim, std::chrono::milliseconds(world.pick(4'000, 20'000)));
}

void Nemesis::act() {
  World& world = cluster_.world();
  const std::vector<std::uint32_t> backends = alive();
  if (backends.empty()) return;
  const auto any_backend = [&] { return backends[world.pick(0, backends.size() - 1)]; };
  const std::uint32_t victim = any_backend();
  const std::uint32_t other = any_backend();
  const bool may_lose_one = backends.size() > least_alive_;
  switch (world.pick(0, 13)) {
    case 0:
    case 1:
      if (!may_lose_one) break;
      cluster_.harmed.insert(victim);
      world.crash(victim, world.pick(0, 1) == 0);
      break;
    case 2:
    case 3:
      if (may_lose_one) cut_for_a_while(victim, kFrontEnd);
      if (world.is_cut(victim, kFrontEnd) && world.pick(0, 1) == 0) cut_for_a_while(kFrontEnd, victim);
      break;
    case 4:
      if (may_lose_one) cut_for_a_while(kFrontEnd, victim);
      break;
    case 5:
    case 6:
      if (other == victim) break;
      cut_for_a_while(victim, other);
      if (world.pick(0, 1) == 0) cut_for_a_while(other, victim);
      break;
    case 7:
      if (other != victim) world.reset_connections(victim, other);
      break;
    case 8:
      if (may_lose_one) lose_sight(victim);
      break;
    case 9: change_clock(victim); break;
    case 10:
      if (other != victim) lose_on_one_side(victim, other);
      break;
    case 11:
      if (may_lose_one) stop_for_a_while(victim);
      break;
    case 12:
      if (may_lose_one) make_unreachable(victim);
      break;
    default:
      if (backends.size() >= most_alive_) break;
      cluster_.add_backend();
      world.say("one more backend");
      break;
  }
}

}  // namespace ebb::sim
