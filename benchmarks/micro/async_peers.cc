// The same jobs as others do them, linked into the Linux program beside ours so that one run gives the ratios.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace {

constexpr int kBatch = 1000;
void BM_Peer_AsioPostAndRun(benchmark::State& state) {
  boost::asio::io_context io(1);
  std::uint64_t ran = 0;
  for (auto _ : state) {
    for (int i = 0; i < kBatch; ++i) boost::asio::post(io, [&ran] { ++ran; });
    io.run();
    io.restart();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(ran));
}
BENCHMARK(BM_Peer_AsioPostAndRun);

// Ties the calling thread to one CPU, as our cores are: two polling threads on one CPU would measure the scheduler.
class PinnedTo {
 public:
  explicit PinnedTo(int cpu) {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~PinnedTo() { sched_setaffinity(0, sizeof before_, &before_); }
  PinnedTo(const PinnedTo&) = delete;
  PinnedTo& operator=(const PinnedTo&) = delete;

 private:
  cpu_set_t before_{};
};

// What the machine itself takes, below which nothing that crosses to another CPU can be: two threads on two CPUs that wait for
// each other's word, each in a line of its own.
void BM_Machine_MemoryRoundTrip(benchmark::State& state) {
  struct alignas(128) Line {
    std::atomic<std::uint64_t> word{0};
  };
  constexpr std::uint64_t kStop = ~std::uint64_t{0};
  Line there, back;
  const PinnedTo first(0);
  std::thread other([&] {
    const PinnedTo second(1);
    for (std::uint64_t seen = 0;;) {
      const std::uint64_t word = there.word.load(std::memory_order_acquire);
      if (word == kStop) return;
      if (word != seen) back.word.store(seen = word, std::memory_order_release);
    }
  });
  std::uint64_t sent = 0;
  for (auto _ : state) {
    there.word.store(++sent, std::memory_order_release);
    while (back.word.load(std::memory_order_acquire) != sent) {
    }
  }
  there.word.store(kStop, std::memory_order_release);
  other.join();
}
BENCHMARK(BM_Machine_MemoryRoundTrip)->UseRealTime();

void BM_Machine_SystemCall(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(::getppid());
}
BENCHMARK(BM_Machine_SystemCall);

// Both sides poll, as ours do.
void BM_Peer_AsioCrossThreadRoundTrip(benchmark::State& state) {
  boost::asio::io_context here, there;
  const auto keep_here = boost::asio::make_work_guard(here);
  const auto keep_there = boost::asio::make_work_guard(there);
  std::atomic<bool> stop{false};
  const PinnedTo first(0);
  std::thread other([&] {
    const PinnedTo second(1);
    while (!stop.load(std::memory_order_relaxed)) there.poll();
  });
  for (auto _ : state) {
    bool back = false;
    boost::asio::post(there, [&] { boost::asio::post(here, [&] { back = true; }); });
    while (!back) here.poll();
  }
  stop = true;
  other.join();
}
BENCHMARK(BM_Peer_AsioCrossThreadRoundTrip)->UseRealTime();

void BM_Peer_CondvarThreadRoundTrip(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;  // 0: ours, 1: theirs, 2: stop
  std::thread other([&] {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return turn != 0; });
      if (turn == 2) return;
      turn = 0;
      changed.notify_one();
    }
  });
  {
    std::unique_lock lock(mutex);
    for (auto _ : state) {
      turn = 1;
      changed.notify_one();
      changed.wait(lock, [&] { return turn == 0; });
    }
    turn = 2;
    changed.notify_one();
  }
  other.join();
}
BENCHMARK(BM_Peer_CondvarThreadRoundTrip)->UseRealTime();

}  // namespace
