// simulate: runs scenarios over ranges of seeds, each in a process of its own, and says which seed broke what.
//
//   simulate --seeds 1..200 [--scenario kinds] [--nodes 5] [--cores 2] [--jobs 2] [--verbose] [--twice] [--expect-broken TEXT]
//   simulate --brief | --nightly [--jobs J] [--twice]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/base/ids.h"
#include "tests/sim/portions.h"
#include "tests/sim/scenario.h"

namespace {

using namespace ebb::sim;

/// A run that takes longer, in seconds of real time, is ended and counts as broken.
constexpr unsigned kRunLimitS = 600;
/// Runs between two lines that say how far a night is.
constexpr std::size_t kProgress = 500;
constexpr std::uint64_t kMostSeeds = 1'000'000;
constexpr std::uint64_t kMostNodes = 2'000;
constexpr std::uint64_t kMostJobs = 256;
/// Seeds of each portion that --twice looks at.
constexpr std::uint64_t kSeedsTwice = 2;
/// What --brief and --nightly decide themselves.
constexpr std::string_view kOfOneScenario[] = {"--seeds", "--scenario", "--nodes", "--cores", "--verbose", "--expect-broken"};

struct Options {
  Settings settings;
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  bool has_seeds = false;         // first and last were said
  std::size_t jobs = 0;           // 0: two, and at night one a CPU
  bool here = false;              // one run in this process: what all others are started as
  bool brief = false;             // every scenario, as in the tests
  bool nightly = false;           // every scenario, until the first broken promise; prints only that and how far it is
  bool twice = false;             // each run must be the same a second time
  std::string_view expected;      // succeed when a violation has this text, and stop there: the program has a bug on purpose
};

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: simulate --seeds A..B [--scenario NAME] [--nodes N] [--cores M] [--jobs J] [--twice] [--expect-broken TEXT] [--verbose]\n"
                       "       simulate --brief | --nightly [--jobs J] [--twice]\n");
  std::exit(2);
}

[[noreturn]] void wrong(std::string_view option, const std::string& what, std::string_view given) {
  std::fprintf(stderr, "simulate: %s takes %s (got '%s')\n", std::string(option).c_str(), what.c_str(), std::string(given).c_str());
  std::exit(2);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::uint64_t number(std::string_view option, std::string_view text, std::uint64_t most) {
  const auto value = number(text);
  if (!value || *value == 0 || *value > most) wrong(option, "a number from 1 to " + std::to_string(most), text);
  return *value;
}

/// Nothing that was said may be ignored, and nothing is run that was not asked for.
void refuse_contradictions(const Options& options, std::string_view of_one) {
  const bool portions = options.brief || options.nightly;
  const char* all = options.nightly ? "--nightly" : "--brief";
  if (options.brief && options.nightly) {
    std::fprintf(stderr, "simulate: --brief or --nightly, not both\n");
  } else if (portions && !of_one.empty()) {
    std::fprintf(stderr, "simulate: %s runs every scenario with seeds and nodes of its own, and takes no %s\n", all,
                 std::string(of_one).c_str());
  } else if (!portions && !options.has_seeds) {
    std::fprintf(stderr, "simulate: say what to run: --seeds A..B, --brief or --nightly\n");
  } else {
    return;
  }
  std::exit(2);
}

void take_seeds(std::string_view text, Options& options) {
  const std::size_t dots = text.find("..");
  const auto first = number(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : number(text.substr(dots + 2));
  if (!first || !last || *last < *first || *last - *first >= kMostSeeds) {
    wrong("--seeds", "one seed, or A..B, which are at most " + std::to_string(kMostSeeds), text);
  }
  options.first = *first;
  options.last = *last;
  options.has_seeds = true;
}

Options parse(int argc, char** argv) {
  Options options;
  const std::map<std::string_view, bool*> flags = {{"--here", &options.here},       {"--brief", &options.brief},
                                                   {"--nightly", &options.nightly}, {"--twice", &options.twice},
                                                   {"--verbose", &options.settings.verbose}};
  std::string_view of_one;  // the first option that is about one scenario
  for (int at = 1; at < argc; ++at) {
    const std::string_view name = argv[at];
    if (of_one.empty() && std::find(std::begin(kOfOneScenario), std::end(kOfOneScenario), name) != std::end(kOfOneScenario)) {
      of_one = name;
    }
    if (const auto flag = flags.find(name); flag != flags.end()) {
      *flag->second = true;
    } else if (at + 1 == argc) {
      usage();
    } else if (const std::string_view value = argv[++at]; name == "--seeds") {
      take_seeds(value, options);
    } else if (name == "--nodes") {
      options.settings.nodes = number(name, value, kMostNodes);
    } else if (name == "--scenario") {
      options.settings.scenario = value;
    } else if (name == "--cores") {
      options.settings.cores = number(name, value, ebb::kMaxCores);
    } else if (name == "--jobs") {
      options.jobs = number(name, value, kMostJobs);
    } else if (name == "--expect-broken") {
      options.expected = value;
    } else {
      usage();
    }
  }
  refuse_contradictions(options, of_one);
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

std::vector<std::string> arguments_of(const Settings& settings) {
  std::vector<std::string> arguments = {"--scenario", std::string(settings.scenario),      "--seeds", std::to_string(settings.seed),
                                        "--nodes",    std::to_string(settings.nodes), "--cores", std::to_string(settings.cores)};
  if (settings.verbose) arguments.emplace_back("--verbose");
  return arguments;
}

/// One seed: 0, or 1 when a promise was broken; any other status is that of a crash.
int run_here(Settings settings, std::uint64_t seed) {
  settings.seed = seed;
  alarm(kRunLimitS);
  const Outcome outcome = find_scenario(settings.scenario)->run(settings);
  std::printf("%s with %zu nodes, seed %llu: %zu operations, %zu answered, %llu steps, trace %016llx%s\n",
              std::string(settings.scenario).c_str(), settings.nodes, static_cast<unsigned long long>(seed), outcome.operations,
              outcome.successes, static_cast<unsigned long long>(outcome.steps), static_cast<unsigned long long>(outcome.trace),
              outcome.violations.empty() ? "" : ": BROKEN");
  if (!outcome.report.empty()) std::printf("  %s\n", outcome.report.c_str());
  for (const std::string& each : outcome.violations) std::printf("  %s\n", each.c_str());
  std::fflush(stdout);
  // A world ends with its process: what its nodes hold is nobody's to free.
  _exit(outcome.violations.empty() ? 0 : 1);
}

std::vector<Settings> runs_of(const Options& options) {
  std::vector<Settings> runs;
  if (options.brief || options.nightly) {
    runs = runs_of_portions([&options](const Portion& each) {
      const std::uint64_t seeds = options.nightly ? each.nightly : each.brief;
      return options.twice ? std::min(seeds, kSeedsTwice) : seeds;
    });
  } else {
    for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
      runs.push_back(options.settings);
      runs.back().seed = seed;
    }
  }
  if (!options.twice) return runs;
  std::vector<Settings> doubled;
  for (const Settings& each : runs) doubled.insert(doubled.end(), 2, each);
  return doubled;
}

/// All runs, some at a time.
class Runs {
 public:
  explicit Runs(const Options& options) : options_(options), runs_(runs_of(options)) {}

  int run() {
    while ((next_ != runs_.size() && !enough()) || !running_.empty()) {
      if (next_ != runs_.size() && !enough() && running_.size() < options_.jobs) {
        start();
      } else {
        end_one();
      }
    }
    std::printf("%zu runs, %zu broken, %lld s\n", done_, broken_, seconds());
    if (options_.expected.empty()) return broken_ == 0 ? 0 : 1;
    if (!found_) std::printf("none shows \"%s\"\n", std::string(options_.expected).c_str());
    return found_ ? 0 : 1;
  }

 private:
  struct Child {
    std::size_t run;
    std::FILE* output;
  };

  bool enough() const { return found_ || (options_.nightly && broken_ != 0); }
  long long seconds() const {
    return static_cast<long long>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin_).count());
  }

  /// The same program afresh, at addresses of its own, so that nothing of one run is in another.
  void start() {
    std::vector<std::string> arguments = arguments_of(runs_[next_]);
    arguments.insert(arguments.begin(), {"simulate", "--here"});
    std::vector<char*> pointers;
    for (std::string& each : arguments) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    std::FILE* output = std::tmpfile();
    std::fflush(stdout);
    const pid_t child = output == nullptr ? -1 : fork();
    if (child < 0) {
      std::perror("simulate");
      std::exit(2);
    }
    if (child == 0) {
      dup2(fileno(output), STDOUT_FILENO);
      execv("/proc/self/exe", pointers.data());
      _exit(127);
    }
    running_[child] = {next_++, output};
  }

  void end_one() {
    int status = 0;
    const pid_t child = wait(&status);
    const auto ended = running_.find(child);
    if (ended == running_.end()) return;
    const Child over = ended->second;
    running_.erase(ended);
    ++done_;
    judge(over.run, status, text_of(over.output));
    if (options_.nightly && done_ % kProgress == 0) std::printf("%zu of %zu runs after %lld s\n", done_, runs_.size(), seconds());
  }

  static std::string text_of(std::FILE* output) {
    std::string text;
    char part[4096];
    std::rewind(output);
    while (const std::size_t read = std::fread(part, 1, sizeof part, output)) text.append(part, read);
    std::fclose(output);
    return text;
  }

  void judge(std::size_t run, int status, std::string text) {
    const bool ended = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
    if (!ended) {
      const bool endless = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
      text += "seed " + std::to_string(runs_[run].seed) + ": the run itself ended with status " + std::to_string(status) +
              (endless ? " (it took too long)" : "") + "\n";
    }
    if (options_.twice) text += compare(run, text);
    const bool broken = status != 0 || differs_;
    differs_ = false;
    if (broken) ++broken_;
    if (!options_.expected.empty()) {
      if (!ended || status == 0 || text.find(options_.expected) == std::string::npos) return;
      if (!std::exchange(found_, true)) std::printf("%s", text.c_str());
      return;
    }
    if (options_.nightly && !broken) return;
    std::printf("%s", text.c_str());
    if (!broken) return;
    std::printf("  repeat it: ./dev simulate");
    for (const std::string& each : arguments_of(runs_[run])) std::printf(" %s", each.c_str());
    std::printf(" --verbose\n");
  }

  /// Of two runs of the same that stand beside each other: what to say of the second.
  std::string compare(std::size_t run, const std::string& text) {
    const auto [first, fresh] = said_.emplace(run / 2, text);
    if (fresh) return {};
    differs_ = first->second != text;
    said_.erase(first);
    return differs_ ? "  not the same as the first time: BROKEN\n" : "";
  }

  const Options& options_;
  const std::vector<Settings> runs_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::map<pid_t, Child> running_;
  std::map<std::size_t, std::string> said_;  // --twice: by those whose second run has not ended
  std::size_t next_ = 0;
  std::size_t done_ = 0;
  std::size_t broken_ = 0;
  bool found_ = false;
  bool differs_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (find_scenario(options.settings.scenario) == nullptr) {
    std::fprintf(stderr, "simulate: there is no scenario %s; there are", std::string(options.settings.scenario).c_str());
    for (const Scenario& each : kScenarios) std::fprintf(stderr, " %s", std::string(each.name).c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  if (options.here) return run_here(options.settings, options.first);
  return Runs(options).run();
}
