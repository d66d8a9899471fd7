// simulate: runs scenarios over ranges of seeds, each in a process of its own, and says which seed broke what.
//
//   simulate --seeds 1..200 [--scenario kinds] [--nodes 5] [--cores 2] [--jobs 2] [--verbose] [--twice] [--expect-broken]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "tests/sim/scenario.h"

namespace {

using namespace ebb::sim;

struct Options {
  Settings settings;
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  std::size_t jobs = 2;
  bool twice = false;           // each seed must give the same run again
  bool expect_broken = false;   // succeed when a promise is broken, and stop there: the program has a bug on purpose
};

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: simulate --seeds A..B [--scenario NAME] [--nodes N] [--cores M] [--jobs J] [--twice] [--expect-broken] [--verbose]\n");
  std::exit(2);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) usage();
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int at = 1; at < argc; ++at) {
    const std::string_view name = argv[at];
    if (name == "--twice") {
      options.twice = true;
    } else if (name == "--expect-broken") {
      options.expect_broken = true;
    } else if (name == "--verbose") {
      options.settings.verbose = true;
    } else if (at + 1 == argc) {
      usage();
    } else if (const std::string_view value = argv[++at]; name == "--seeds") {
      const std::size_t dots = value.find("..");
      options.first = number(value.substr(0, dots));
      options.last = dots == std::string_view::npos ? options.first : number(value.substr(dots + 2));
    } else if (name == "--nodes") {
      options.settings.nodes = number(value);
    } else if (name == "--scenario") {
      options.settings.scenario = value;
    } else if (name == "--cores") {
      options.settings.cores = number(value);
    } else if (name == "--jobs") {
      options.jobs = std::max<std::size_t>(1, number(value));
    } else {
      usage();
    }
  }
  return options;
}

const Scenario* find_scenario(std::string_view name) {
  for (const Scenario& each : kScenarios) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

Outcome run_scenario(const Settings& settings) { return find_scenario(settings.scenario)->run(settings); }

/// In a child: one seed. Its line, and its status: 0, 1 (a promise was broken); others by a crash.
int run(Settings settings) {
  const Outcome outcome = run_scenario(settings);
  std::printf("seed %llu: %zu operations, %zu answered, %llu steps, trace %016llx%s\n",
              static_cast<unsigned long long>(settings.seed), outcome.operations, outcome.successes,
              static_cast<unsigned long long>(outcome.steps), static_cast<unsigned long long>(outcome.trace),
              outcome.violations.empty() ? "" : ": BROKEN");
  if (!outcome.report.empty()) std::printf("  %s\n", outcome.report.c_str());
  for (const std::string& each : outcome.violations) std::printf("  %s\n", each.c_str());
  if (!outcome.violations.empty()) {
    std::printf("  repeat it: simulate --scenario %.*s --seeds %llu --nodes %zu --cores %zu --verbose\n",
                static_cast<int>(settings.scenario.size()), settings.scenario.data(),
                static_cast<unsigned long long>(settings.seed), settings.nodes, settings.cores);
  }
  std::fflush(stdout);
  return outcome.violations.empty() ? 0 : 1;
}

/// In a child: the trace of a seed's run, through a pipe.
std::uint64_t trace_of(Settings settings) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const std::uint64_t trace = run_scenario(settings).trace;
    _exit(write(ends[1], &trace, sizeof trace) == sizeof trace ? 0 : 1);
  }
  close(ends[1]);
  std::uint64_t trace = 0;
  if (child < 0 || read(ends[0], &trace, sizeof trace) != sizeof trace) trace = 0;
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return trace;
}

int run_twice(const Options& options) {
  std::size_t different = 0;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    Settings settings = options.settings;
    settings.seed = seed;
    const std::uint64_t first = trace_of(settings);
    if (first != 0 && first == trace_of(settings)) continue;
    std::printf("seed %llu does not give the same run twice\n", static_cast<unsigned long long>(seed));
    ++different;
  }
  std::printf("%llu seeds, %zu different\n", static_cast<unsigned long long>(options.last - options.first + 1), different);
  return different == 0 ? 0 : 1;
}

/// Starts a child for a seed; what it prints comes through.
pid_t start(Settings settings) {
  const pid_t child = fork();
  if (child < 0) {
    std::perror("simulate: fork");
    std::exit(2);
  }
  // A world ends with its process: what its nodes hold is nobody's to free.
  if (child == 0) _exit(run(settings));
  return child;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (find_scenario(options.settings.scenario) == nullptr) {
    std::fprintf(stderr, "simulate: there is no scenario %s; there are", std::string(options.settings.scenario).c_str());
    for (const Scenario& each : kScenarios) std::fprintf(stderr, " %s", std::string(each.name).c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  if (options.twice) return run_twice(options);
  std::map<pid_t, std::uint64_t> running;
  std::size_t broken = 0;
  std::size_t done = 0;
  std::uint64_t next = options.first;
  while (next <= options.last || !running.empty()) {
    const bool enough = options.expect_broken && broken != 0;
    if (enough && running.empty()) break;
    if (!enough && next <= options.last && running.size() < options.jobs) {
      Settings settings = options.settings;
      settings.seed = next++;
      std::fflush(stdout);
      running[start(settings)] = settings.seed;
      continue;
    }
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended < 0) break;
    ++done;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
      std::printf("seed %llu: the run itself ended with status %d\n", static_cast<unsigned long long>(running[ended]), status);
    }
    if (status != 0) ++broken;
    running.erase(ended);
  }
  std::printf("%zu seeds, %zu broken\n", done, broken);
  return (broken != 0) == options.expect_broken ? 0 : 1;
}
