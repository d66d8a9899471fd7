// Cores, table, secret and address of the Linux platform.
#include "ebb/platform/platform.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "ebb/platform/hosted.h"
#include "ebb/platform/stream.h"
#include "ebb/platform/translation_table.h"

namespace ebb::platform {
namespace {

using namespace std::chrono_literals;

TEST(Platform, GivesEachCoreAnEmptyTableOfItsOwn) {
  auto on_a_core = [](std::uint16_t index, void* mine) {
    ASSERT_TRUE(enter_core(CoreIndex(index)));
    const ObjectId first(1), last(kMaxObjects - 1);
    EXPECT_EQ(translate(first), nullptr);
    EXPECT_EQ(translate(last), nullptr);
    set_translation(last, mine);
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(translate(last), mine);
    EXPECT_EQ(translate(first), nullptr);
    EXPECT_EQ(enter_core(CoreIndex(5)).code(), Errc::invalid_argument);
    leave_core();
  };
  int here = 0, there = 0;
  std::thread other(on_a_core, std::uint16_t{1}, &there);
  on_a_core(0, &here);
  other.join();
}

TEST(Platform, WaitEndsAtItsDeadlineAndAtAWakeThatCameFirst) {
  ASSERT_TRUE(enter_core(CoreIndex(0)));
  while (poll()) {
  }
  const Instant before = Clock::now();
  while (Clock::now() < before + 3500us) wait(before + 3500us);
  EXPECT_LT(Clock::now() - before, 1s);
  wake(CoreIndex(0));
  wait(Clock::now() + 20s);
  EXPECT_LT(Clock::now() - before, 10s);
  leave_core();
}

TEST(Platform, TiesItsFirstCoreToTheCpuThatItIsTold) {
  std::vector<int> cpus;
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all) && cpus.size() < kMaxCores) cpus.push_back(cpu);
  }
  for (std::size_t first = 0; first <= cpus.size(); ++first) {  // the last one goes around
    setenv("EBB_FIRST_CPU", std::to_string(first).c_str(), 1);
    for (std::size_t core = 0; core < cpus.size(); ++core) {
      ASSERT_TRUE(enter_core(CoreIndex(static_cast<std::uint16_t>(core))));
      cpu_set_t mine;
      EXPECT_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
      EXPECT_EQ(CPU_COUNT(&mine), 1);
      EXPECT_TRUE(CPU_ISSET(cpus[(first + core) % cpus.size()], &mine)) << "core " << core << " of " << first;
      leave_core();
    }
  }
  setenv("EBB_FIRST_CPU", "second", 1);
  EXPECT_EQ(enter_core(CoreIndex(0)).code(), Errc::invalid_argument);
  unsetenv("EBB_FIRST_CPU");
}

TEST(Platform, MayOpenAsManyFilesAsItsUserAllows) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  hosted::raise_file_limit();
  rlimit after{};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  EXPECT_EQ(after.rlim_max, before.rlim_max);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(Platform, HandsOverTheLaunchSecretOnce) {
  unsetenv("EBB_SECRET_FD");
  EXPECT_EQ(launch_secret().code(), Errc::not_found);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "secret", 6), 6);
  close(ends[1]);
  setenv("EBB_SECRET_FD", std::to_string(ends[0]).c_str(), 1);
  const auto secret = launch_secret();
  ASSERT_TRUE(secret);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(secret->data()), secret->size()), "secret");
  EXPECT_EQ(fcntl(ends[0], F_GETFD), -1) << "the descriptor stays open";
  EXPECT_EQ(launch_secret().code(), Errc::not_found);
  setenv("EBB_SECRET_FD", "12x", 1);
  EXPECT_EQ(launch_secret().code(), Errc::invalid_argument);
  const int endless = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  setenv("EBB_SECRET_FD", std::to_string(endless).c_str(), 1);
  EXPECT_EQ(launch_secret().code(), Errc::too_large);
  unsetenv("EBB_SECRET_FD");
}

TEST(Platform, TellsTheAddressItWasConfiguredWith) {
  EXPECT_EQ(own_address(), std::nullopt);
  hosted::set_own_address(0x7f000001);
  EXPECT_EQ(own_address(), 0x7f000001u);
}

}  // namespace
}  // namespace ebb::platform
