// simulate: runs scenarios over ranges of seeds, each in a process of its own, and says which seed broke what.
//
//   simulate --seeds 1..200 [--scenario kinds] [--nodes 5] [--cores 2] [--jobs 2] [--verbose] [--twice] [--expect-broken]
//   simulate --nightly [--jobs J]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/nightly.h"
#include "tests/sim/scenario.h"

namespace {

using namespace ebb::sim;

/// A run that takes longer, in seconds of real time, is ended and counts as broken.
constexpr unsigned kRunLimitS = 600;
/// Runs between two lines that say how far a night is.
constexpr std::size_t kProgress = 500;

struct Options {
  Settings settings;
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  std::size_t jobs = 0;         // 0: two, and at night one a CPU
  bool nightly = false;         // every scenario, until the first broken promise; prints only that and how far it is
  bool twice = false;           // each seed must give the same run again
  bool expect_broken = false;   // succeed when a promise is broken, and stop there: the program has a bug on purpose
};

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: simulate --seeds A..B [--scenario NAME] [--nodes N] [--cores M] [--jobs J] [--twice] [--expect-broken] [--verbose]\n"
                       "       simulate --nightly [--jobs J]\n");
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
    } else if (name == "--nightly") {
      options.nightly = true;
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
      options.jobs = number(value);
    } else {
      usage();
    }
  }
  if (options.jobs == 0) {
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    options.jobs = options.nightly && cpus > 0 ? static_cast<std::size_t>(cpus) : 2;
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

void print_how_to_repeat(const Settings& settings) {
  std::printf("  repeat it: ./dev simulate --scenario %.*s --seeds %llu --nodes %zu --cores %zu --verbose\n",
              static_cast<int>(settings.scenario.size()), settings.scenario.data(),
              static_cast<unsigned long long>(settings.seed), settings.nodes, settings.cores);
}

/// In a child: one seed. Its line (`quiet`: only that of a broken promise), and its status: 0, 1 (a promise was broken); others
/// by a crash.
int run(Settings settings, bool quiet) {
  const Outcome outcome = run_scenario(settings);
  if (quiet && outcome.violations.empty()) return 0;
  std::printf("seed %llu: %zu operations, %zu answered, %llu steps, trace %016llx%s\n",
              static_cast<unsigned long long>(settings.seed), outcome.operations, outcome.successes,
              static_cast<unsigned long long>(outcome.steps), static_cast<unsigned long long>(outcome.trace),
              outcome.violations.empty() ? "" : ": BROKEN");
  if (!outcome.report.empty()) std::printf("  %s\n", outcome.report.c_str());
  for (const std::string& each : outcome.violations) std::printf("  %s\n", each.c_str());
  if (!outcome.violations.empty()) print_how_to_repeat(settings);
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
pid_t start(Settings settings, bool quiet) {
  const pid_t child = fork();
  if (child < 0) {
    std::perror("simulate: fork");
    std::exit(2);
  }
  // A world ends with its process: what its nodes hold is nobody's to free.
  if (child == 0) {
    alarm(kRunLimitS);
    _exit(run(settings, quiet));
  }
  return child;
}

std::vector<Settings> runs_of(const Options& options) {
  if (options.nightly) return nightly();
  std::vector<Settings> runs;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    runs.push_back(options.settings);
    runs.back().seed = seed;
  }
  return runs;
}

int run_all(const Options& options) {
  const std::vector<Settings> runs = runs_of(options);
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [begin] {
    return static_cast<long long>(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count());
  };
  std::map<pid_t, const Settings*> running;
  std::size_t broken = 0;
  std::size_t done = 0;
  auto next = runs.begin();
  while (next != runs.end() || !running.empty()) {
    const bool enough = (options.expect_broken || options.nightly) && broken != 0;
    if (enough && running.empty()) break;
    if (!enough && next != runs.end() && running.size() < options.jobs) {
      std::fflush(stdout);
      running[start(*next, options.nightly)] = &*next;
      ++next;
      continue;
    }
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended < 0) break;
    ++done;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
      const Settings& settings = *running[ended];
      const bool endless = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
      std::printf("seed %llu: the run itself ended with status %d%s\n", static_cast<unsigned long long>(settings.seed), status,
                  endless ? " (it took too long)" : "");
      print_how_to_repeat(settings);
    }
    if (status != 0) ++broken;
    running.erase(ended);
    if (options.nightly && done % kProgress == 0) std::printf("%zu of %zu seeds after %lld s\n", done, runs.size(), seconds());
  }
  std::printf("%zu seeds, %zu broken, %lld s\n", done, broken, seconds());
  return (broken != 0) == options.expect_broken ? 0 : 1;
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
  return options.twice ? run_twice(options) : run_all(options);
}
