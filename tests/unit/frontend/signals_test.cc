#include "frontend/program/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace ebb::frontend {
namespace {

using namespace std::chrono_literals;

/// In a process of its own.
[[noreturn]] void end_too_slowly() {
  block_signals();
  const SignalThread signals([](int) {}, [](int status) { ::_exit(status); }, 50ms);
  ::kill(::getpid(), SIGTERM);
  std::this_thread::sleep_for(20s);
  ::_exit(1);
}

TEST(Signals, SayThatAnEndWasCutOff) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(end_too_slowly(), testing::ExitedWithCode(128 + SIGTERM), "^ebb: the end in order takes more than 0 s; all is ended now");
}

}  // namespace
}  // namespace ebb::frontend
