// Runs Google Benchmark programs inside an image. Debian ships that library as a shared object only, which a static image
// cannot hold; its header is the program's interface, and this is what stands behind it here: registration, the loop that
// finds the number of iterations, the console report. What no portable program of this tree uses (threads, fixtures'
// statistics, complexity, JSON) is left out, and a program that wants it does not link.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace benchmark {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::unique_ptr<internal::Benchmark>>& registered() {
  static std::vector<std::unique_ptr<internal::Benchmark>> all;
  return all;
}

std::string filter = ".";
double min_time = 0.5;

}  // namespace

namespace internal {

/// The time of one run, without its pauses.
class ThreadTimer {
 public:
  void start() { begin_ = Clock::now(); }
  void stop() { spent_ += Clock::now() - begin_; }
  double seconds() const { return std::chrono::duration<double>(spent_).count(); }

 private:
  Clock::time_point begin_;
  Clock::duration spent_{};
};

/// What one run leaves besides its time.
class ThreadManager {
 public:
  std::string error;
  std::string label;
};

/// One benchmark with one set of arguments. The library's name for it, because State calls that its friend.
class BenchmarkInstance {
 public:
  static void run_all() {
    const bool excluding = filter.starts_with("-");
    const std::regex wanted(excluding ? filter.substr(1) : filter);
    std::printf("%-48s %14s %14s\n", "Benchmark", "Time", "Iterations");
    for (const auto& benchmark : registered()) {
      std::vector<std::vector<std::int64_t>> arguments = benchmark->args_;
      if (arguments.empty()) arguments.emplace_back();
      for (const auto& each : arguments) {
        std::string name = benchmark->name_;
        for (const std::int64_t argument : each) name += "/" + std::to_string(argument);
        if (benchmark->use_real_time_) name += "/real_time";
        if (std::regex_search(name, wanted) != excluding) measure(*benchmark, name, each);
      }
    }
  }

 private:
  static void measure(Benchmark& benchmark, const std::string& name, const std::vector<std::int64_t>& arguments) {
    constexpr IterationCount kMostIterations = 1'000'000'000;
    constexpr double kMostGrowth = 10;
    constexpr double kOverMinimum = 1.4;
    for (IterationCount iterations = 1;;) {
      ThreadTimer timer;
      ThreadManager manager;
      State state(iterations, arguments, 0, 1, &timer, &manager, nullptr);
      benchmark.Run(state);
      const double seconds = timer.seconds();
      if (!manager.error.empty() || seconds >= min_time || iterations >= kMostIterations) {
        report(name, manager, state, iterations, seconds);
        return;
      }
      const double growth = seconds < min_time / kMostGrowth ? kMostGrowth : min_time * kOverMinimum / seconds;
      iterations = std::min(static_cast<IterationCount>(static_cast<double>(iterations) * growth) + 1, kMostIterations);
    }
  }

  static void report(const std::string& name, const ThreadManager& manager, const State& state, IterationCount iterations,
                     double seconds) {
    if (!manager.error.empty()) {
      std::printf("%-48s ERROR: %s\n", name.c_str(), manager.error.c_str());
      failed = true;
      return;
    }
    std::printf("%-48s %11.3g ns %14lld", name.c_str(), seconds * 1e9 / static_cast<double>(iterations),
                static_cast<long long>(iterations));
    for (const auto& [counter, value] : state.counters) {
      double shown = value.value;
      if (value.flags & Counter::kIsRate) shown /= seconds;
      if (value.flags & Counter::kAvgIterations) shown /= static_cast<double>(iterations);
      if (value.flags & Counter::kInvert) shown = 1 / shown;
      std::printf(" %s=%.4g%s", counter.c_str(), shown, value.flags & Counter::kIsRate ? "/s" : "");
    }
    std::printf(" %s\n", manager.label.c_str());
  }

 public:
  static inline bool failed = false;
};

Benchmark::Benchmark(const char* name)
    : name_(name), aggregation_report_mode_(ARM_Unspecified), time_unit_(kNanosecond), use_default_time_unit_(true),
      range_multiplier_(8), min_time_(0), min_warmup_time_(0), iterations_(0), repetitions_(0),
      measure_process_cpu_time_(false), use_real_time_(false), use_manual_time_(false), complexity_(oNone),
      complexity_lambda_(nullptr), setup_(nullptr), teardown_(nullptr) {}
Benchmark::~Benchmark() = default;
Benchmark* Benchmark::Arg(std::int64_t argument) {
  args_.push_back({argument});
  return this;
}
// There is no other time here: what a core does while it waits is not told apart.
Benchmark* Benchmark::UseRealTime() {
  use_real_time_ = true;
  return this;
}
void FunctionBenchmark::Run(State& state) { func_(state); }

Benchmark* RegisterBenchmarkInternal(Benchmark* benchmark) {
  registered().emplace_back(benchmark);
  return benchmark;
}
int InitializeStreams() { return 0; }

}  // namespace internal

State::State(IterationCount iterations, const std::vector<std::int64_t>& arguments, int index, int threads,
             internal::ThreadTimer* timer, internal::ThreadManager* manager, internal::PerfCountersMeasurement*)
    : total_iterations_(0), batch_leftover_(0), max_iterations(iterations), started_(false), finished_(false),
      error_occurred_(false), range_(arguments), complexity_n_(0), thread_index_(index), threads_(threads), timer_(timer),
      manager_(manager), perf_counters_measurement_(nullptr) {}
void State::StartKeepRunning() {
  started_ = true;
  total_iterations_ = error_occurred_ ? 0 : max_iterations;
  if (!error_occurred_) timer_->start();
}
void State::FinishKeepRunning() {
  if (!error_occurred_) timer_->stop();
  total_iterations_ = 0;
  finished_ = true;
}
void State::PauseTiming() { timer_->stop(); }
void State::ResumeTiming() { timer_->start(); }
void State::SkipWithError(const char* message) {
  error_occurred_ = true;
  total_iterations_ = 0;
  manager_->error = message;
}
void State::SetLabel(const char* label) { manager_->label = label; }

void PrintDefaultHelp() { std::puts("--benchmark_filter=REGEX (a leading - excludes) --benchmark_min_time=SECONDS"); }

void Initialize(int* argc, char** argv, void (*help)()) {
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&](std::string_view option) { return std::string(argument.substr(option.size())); };
    if (argument.starts_with("--benchmark_filter=")) {
      filter = value("--benchmark_filter=");
    } else if (argument.starts_with("--benchmark_min_time=")) {
      min_time = std::strtod(value("--benchmark_min_time=").c_str(), nullptr);
    } else if (argument == "--help") {
      help();
      std::exit(0);
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
}

bool ReportUnrecognizedArguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) std::fprintf(stderr, "%s: an image's benchmarks do not know '%s'\n", argv[0], argv[i]);
  return argc > 1;
}

std::size_t RunSpecifiedBenchmarks() {
  internal::BenchmarkInstance::run_all();
  return registered().size();
}

void Shutdown() {
  registered().clear();
  std::fflush(stdout);
  if (internal::BenchmarkInstance::failed) std::exit(1);
}

}  // namespace benchmark
