// What the C and C++ libraries need of the kernel, tried inside the image.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/interrupts.h"
#include "kernel/memory/address_space.h"

namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

TEST(Kernel, PassesTheCommandLineOn) {
  const auto arguments = testing::internal::GetArgvs();
  ASSERT_EQ(arguments.size(), 4u);
  EXPECT_EQ(arguments[0], "node");
  EXPECT_EQ(arguments[1], "--ebb-first");
  EXPECT_EQ(arguments[2], "two words");
  EXPECT_EQ(arguments[3], "quote\"d");
}

TEST(Kernel, HasBothProcessors) { EXPECT_EQ(std::thread::hardware_concurrency(), 2u); }

int deep_throw(int depth) {
  const std::string guard(static_cast<std::size_t>(depth), 'x');  // something to unwind
  if (depth == 0) throw std::out_of_range("bottom");
  return deep_throw(depth - 1) + static_cast<int>(guard.size());
}

int count_exceptions(int rounds) {
  int caught = 0;
  for (int round = 0; round < rounds; ++round) {
    try {
      deep_throw(10);
    } catch (const std::out_of_range& error) {
      if (std::strcmp(error.what(), "bottom") == 0) ++caught;
    }
  }
  return caught;
}

TEST(Kernel, UnwindsExceptionsOnAllProcessorsAtOnce) {
  constexpr int kRounds = 2000;
  int there = 0;
  std::thread other([&there] { there = count_exceptions(kRounds); });
  const int here = count_exceptions(kRounds);
  other.join();
  EXPECT_EQ(here, kRounds);
  EXPECT_EQ(there, kRounds);
}

TEST(Kernel, StartsThreadsAgainAndAgain) {
  int sum = 0;
  for (int i = 0; i < 500; ++i) std::thread([&sum, i] { sum += i; }).join();
  EXPECT_EQ(sum, 124'750);
}

TEST(Kernel, RefusesMoreThreadsThanProcessors) {
  std::mutex mutex;
  mutex.lock();
  std::thread first([&mutex] { const std::lock_guard guard(mutex); });
  EXPECT_THROW(std::thread([] {}), std::system_error);
  mutex.unlock();
  first.join();
}

thread_local int own = 7;
TEST(Kernel, GivesEachThreadItsOwnVariables) {
  own = 1;
  int seen = 0;
  std::thread([&seen] { seen = own; own = 9; }).join();
  EXPECT_EQ(seen, 7);
  EXPECT_EQ(own, 1);
}

TEST(Kernel, PassesTurnsByConditionVariable) {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  constexpr int kTurns = 2000;
  const auto play = [&](int parity) {
    for (std::unique_lock lock(mutex); turn < kTurns; changed.notify_one()) {
      changed.wait(lock, [&] { return turn % 2 == parity || turn >= kTurns; });
      if (turn < kTurns) ++turn;
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  EXPECT_EQ(turn, kTurns);
}

TEST(Kernel, TimesOutAConditionVariable) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  const auto start = Steady::now();
  EXPECT_EQ(never.wait_for(lock, 20ms), std::cv_status::timeout);
  EXPECT_GE(Steady::now() - start, 20ms);
}

TEST(Kernel, DoesNotWaitForWhatIsLongPast) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  // By the wall clock, and before this machine was started.
  const auto past = std::chrono::system_clock::now() - 1h;
  EXPECT_EQ(never.wait_until(lock, past), std::cv_status::timeout);
  const timespec yesterday{std::time(nullptr) - 86'400, 0};
  EXPECT_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &yesterday, nullptr), 0);
}

TEST(Kernel, WaitsForTheEndOfTime) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    const std::lock_guard guard(mutex);
    done = true;
    changed.notify_one();
  });
  std::unique_lock lock(mutex);
  const timespec end{std::numeric_limits<std::time_t>::max(), 0};
  int status = 0;
  while (!done && status == 0) status = pthread_cond_timedwait(changed.native_handle(), mutex.native_handle(), &end);
  EXPECT_EQ(status, 0);
  lock.unlock();
  other.join();
}

TEST(Kernel, SleepsAsLongAsAsked) {
  for (const auto span : {1ms, 5ms, 30ms}) {
    const auto start = Steady::now();
    std::this_thread::sleep_for(span);
    const auto slept = Steady::now() - start;
    EXPECT_GE(slept, span);
    EXPECT_LT(slept, span + 500ms);
  }
}

TEST(Kernel, KnowsTheDate) {
  const std::time_t now = std::time(nullptr);
  EXPECT_GT(now, 1'780'000'000);  // mid-2026
  EXPECT_LT(now, 4'000'000'000);
}

TEST(Kernel, GivesZeroedMemoryOnTouchAndTakesItBack) {
  constexpr std::size_t kBytes = std::size_t{1} << 30;  // far more than the machine has
  for (int round = 0; round < 3; ++round) {
    auto* memory = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    for (std::size_t at = 0; at < 64 << 20; at += 4096) {
      ASSERT_EQ(memory[at], 0);
      memory[at] = 1;
    }
    ASSERT_EQ(munmap(memory, kBytes), 0);
  }
}

TEST(Kernel, TakesTheTablesOfUnmappedMemoryBackToo) {
  constexpr std::size_t kBytes = 64 << 20;
  constexpr std::size_t kOneTable = 2 << 20;
  const auto free_bytes = [] {
    struct sysinfo info {};
    EXPECT_EQ(sysinfo(&info), 0);
    return static_cast<std::int64_t>(info.freeram) * info.mem_unit;
  };
  std::int64_t before = 0;
  for (int round = 0; round < 200; ++round) {
    auto* memory = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    for (std::size_t at = 0; at < kBytes; at += kOneTable) memory[at] = 1;
    ASSERT_EQ(munmap(memory, kBytes), 0);
    if (round == 0) before = free_bytes();
  }
  EXPECT_LT(before - free_bytes(), 1 << 20);
}

/// Runs `function` with the stack pointer at `top`.
void run_on_stack(char* top, void (*function)(char*), char* argument) {
  asm volatile(
      "movq %%rsp, %%rbx\n\t"
      "movq %[top], %%rsp\n\t"
      "callq *%[function]\n\t"
      "movq %%rbx, %%rsp"
      : "+D"(argument)
      : [top] "r"(top), [function] "r"(function)
      : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

// Wherever in such a call its stack comes to a page that was never touched.
TEST(Kernel, ChangesMemoryOnAStackThatComesPageByPage) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kStack = 16 * kPage;
  constexpr std::size_t kPages = 600;  // more than a core keeps, and one table has
  const auto map = [](std::size_t bytes) {
    return static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  };
  void (*const calls[])(char*) = {
      [](char* memory) { munmap(memory, kPages * kPage); },
      [](char* memory) { mprotect(memory, kPages * kPage, PROT_READ); },
      [](char* memory) { madvise(memory, kPages * kPage, MADV_DONTNEED); },
      [](char*) { munmap(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), kPage); },
      [](char*) { kernel::memory::physical_of(&own); },
  };
  for (std::size_t begin = 16; begin <= kPage; begin += 16) {
    for (const auto call : calls) {
      char* const memory = map(kPages * kPage);
      char* const stack = map(kStack);
      ASSERT_TRUE(memory != MAP_FAILED && stack != MAP_FAILED);
      for (std::size_t page = begin / 16 % 64; page < kPages; page += 64) memory[page * kPage] = 1;
      run_on_stack(stack + kStack / 2 + begin, call, memory);
      munmap(stack, kStack);
      munmap(memory, kPages * kPage);
    }
  }
}

TEST(Kernel, AllocatesAndFreesOnBothProcessors) {
  const auto work = [](unsigned seed) {
    std::map<int, std::unique_ptr<std::string>> kept;
    for (unsigned i = 0; i < 20'000; ++i) {
      seed = seed * 1'664'525 + 1'013'904'223;
      kept[static_cast<int>(seed % 500)] = std::make_unique<std::string>(seed % 3000, static_cast<char>(i));
    }
    return kept.size();
  };
  std::size_t there = 0;
  std::thread other([&] { there = work(1); });
  EXPECT_EQ(work(2), 500u);
  other.join();
  EXPECT_EQ(there, 500u);
}

// Leaves what it computes below the stack pointer for a long time, where interrupts of the timer come.
[[gnu::noinline]] std::uint64_t in_red_zone(std::uint64_t rounds) {
  volatile std::uint64_t words[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (std::uint64_t i = 0; i < rounds; ++i) {
    for (auto& word : words) word = word * 3 + 1;
  }
  std::uint64_t sum = 0;
  for (const auto& word : words) sum += word;
  return sum;
}

// Both processors interrupt each other all the time while they compute.
int count_wrong_results(std::size_t other, std::atomic<int>& interrupts) {
  const std::uint64_t expected = in_red_zone(1000);
  volatile double factor = 1.0000001;
  const auto multiply = [&factor] {
    double product = 1;
    for (int round = 0; round < 1000; ++round) product *= factor;
    return product;
  };
  const double expected_product = multiply();
  int wrong = 0;
  for (const auto end = Steady::now() + 300ms; Steady::now() < end; ++interrupts) {
    kernel::cpu::send_interrupt(other, kernel::cpu::kWakeVector);
    kernel::cpu::set_timer(kernel::cpu::read_tsc() + 5000);
    if (in_red_zone(1000) != expected) ++wrong;
    if (multiply() != expected_product) ++wrong;
  }
  return wrong;
}

TEST(Kernel, KeepsTheRedZoneAndVectorsThroughInterrupts) {
  std::atomic<int> interrupts{0};
  int wrong_there = -1;
  std::thread other([&] { wrong_there = count_wrong_results(0, interrupts); });
  EXPECT_EQ(count_wrong_results(1, interrupts), 0);
  other.join();
  EXPECT_EQ(wrong_there, 0);
  EXPECT_GT(interrupts, 100);
}

TEST(Kernel, GivesRandomBytes) {
  unsigned char first[32] = {};
  unsigned char second[32] = {};
  ASSERT_EQ(getrandom(first, sizeof first, 0), 32);
  ASSERT_EQ(getrandom(second, sizeof second, 0), 32);
  EXPECT_NE(std::memcmp(first, second, sizeof first), 0);
}

TEST(Kernel, HasNoFiles) {
  EXPECT_EQ(access("/etc/passwd", R_OK), -1);
  EXPECT_EQ(std::fopen("/proc/cpuinfo", "r"), nullptr);
}

}  // namespace
