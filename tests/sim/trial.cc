#include "tests/sim/trial.h"

#include <utility>

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

Trial* the_trial = nullptr;

constexpr Time kTroubleBegins = 3s;
// What the nemesis began last has an end of its own, but not before everything is mended.
constexpr Time kMend = 2s;

}  // namespace

Trial::Trial(const Settings& settings, Work front_end, Work backend)
    : world(settings.seed), cluster(world, settings.cores, std::move(front_end), std::move(backend)) {
  the_trial = this;
  world.verbose = settings.verbose;
  cluster.drivers_report_ends = world.pick(0, 1) == 0;
  for (std::size_t at = 0; at < settings.nodes; ++at) cluster.add_backend();
}

void Trial::trouble(Time end) {
  Nemesis nemesis(cluster);
  nemesis.trouble(kTroubleBegins, end);
  world.run_until(end + kMend);
  world.mend_all();
}

void Trial::must_answer(Time healed, Time end, const std::size_t& answered) {
  world.run_until(healed);
  healed_ = true;
  const std::size_t before = answered;
  world.run_until(end);
  if (answered == before) violated("nothing is answered after all has been mended");
}

void Trial::add(const History& history) {
  outcome.operations += history.operations().size();
  outcome.successes += history.successes();
  outcome.violations.insert(outcome.violations.end(), history.violations.begin(), history.violations.end());
}

void Trial::add(const WriteOrder& order) {
  outcome.violations.insert(outcome.violations.end(), order.violations.begin(), order.violations.end());
}

Outcome Trial::finish(const std::set<ObjectId>& not_ended, Time drain) {
  come_to_rest(cluster, outcome, not_ended, drain);
  return finish_as_it_is();
}

Outcome Trial::finish_as_it_is() {
  outcome.trace = world.trace();
  outcome.steps = world.steps();
  outcome.log = world.log;
  return std::move(outcome);
}

void violated(const std::string& what) {
  the_trial->outcome.violations.push_back("at " + std::to_string(the_trial->world.now().count() / 1000) + " us: " + what);
}

}  // namespace ebb::sim
