// The process driver with shell scripts as nodes.
#include "frontend/nodes/process/process_driver.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <vector>

namespace ebb::frontend::nodes {
namespace {

class Recorder final : public DriverObserver {
 public:
  void on_console_line(NodeId, std::string_view line) override {
    std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
    changed_.notify_all();
  }
  void on_ended(NodeId, std::string reason) override {
    std::lock_guard lock(mutex_);
    ended_.push_back(std::move(reason));
    changed_.notify_all();
  }
  std::string first_line() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !lines_.empty(); });
    return lines_.empty() ? "" : lines_.front();
  }
  std::string first_end() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !ended_.empty(); });
    return ended_.empty() ? "" : ended_.front();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::vector<std::string> ended_;
};

class ProcessDriverTest : public testing::Test {
 protected:
  NodeSpec script(const std::string& body) {
    path_ = testing::TempDir() + "node-" + std::to_string(::getpid()) + ".sh";
    std::ofstream(path_) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path_.c_str(), 0700);
    NodeSpec spec;
    spec.id = NodeId{3};
    spec.cores = 2;
    spec.image = path_;
    spec.frontend = {0x7f00'0001, 7001};
    spec.key.fill(std::byte{'k'});
    return spec;
  }
  ~ProcessDriverTest() override { ::unlink(path_.c_str()); }

  std::string path_;
  Recorder recorder_;
};

/// Gone, or a zombie that nobody has collected yet.
bool is_gone(pid_t process) {
  for (int i = 0; i < 100; ++i) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    const std::string stat((std::istreambuf_iterator<char>(file)), {});
    if (stat.empty() || stat.find(") Z ") != std::string::npos) return true;
    ::usleep(10'000);
  }
  return false;
}

TEST_F(ProcessDriverTest, TellsANodeWhoItIsAndWhereItsFrontEndIs) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("echo \"$@\"")));
  EXPECT_EQ(recorder_.first_line(), "--ebb-role=node --ebb-node=3 --ebb-frontend=127.0.0.1:7001 --ebb-cores=2");
  EXPECT_EQ(recorder_.first_end(), "exit status 0");
}

TEST_F(ProcessDriverTest, HandsTheKeyOverAPipe) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("cat /proc/self/fd/$EBB_SECRET_FD; echo")));
  EXPECT_EQ(recorder_.first_line(), std::string(32, 'k'));
}

TEST_F(ProcessDriverTest, SaysWhereTheCoresOfANodeBegin) {
  ::setenv("EBB_FIRST_CPU", "0", 1);  // the front end's
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 2));
  const auto started = driver->start(script("echo $EBB_FIRST_CPU"));
  ::unsetenv("EBB_FIRST_CPU");
  ASSERT_TRUE(started);
  EXPECT_EQ(recorder_.first_line(), "2");
}

TEST_F(ProcessDriverTest, ReportsAnEndNobodyAskedFor) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("kill -9 $$")));
  EXPECT_EQ(recorder_.first_end(), "killed by signal 9");
}

TEST_F(ProcessDriverTest, StopsANodeAndForgetsIt) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("echo $$; exec sleep 60")));
  const pid_t pid = std::stoi(recorder_.first_line());
  ASSERT_TRUE(driver->stop(NodeId{3}));
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_EQ(driver->stop(NodeId{3}).code(), Errc::not_found);
}

TEST_F(ProcessDriverTest, TakesItsNodesAlongWhenItEnds) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("echo $$; exec sleep 60")));
  const pid_t pid = std::stoi(recorder_.first_line());
  driver.reset();
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(ProcessDriverTest, TakesAlongWhatANodeHasStarted) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("sleep 20 & echo $!; sleep 20")));
  const pid_t started = std::stoi(recorder_.first_line());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(driver->stop(NodeId{3}));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
  EXPECT_TRUE(is_gone(started));
}

TEST_F(ProcessDriverTest, WaitsForNobodyWhoOnlyHoldsTheConsole) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  ASSERT_TRUE(driver->start(script("setsid sleep 15 & echo last; exit 7")));
  EXPECT_EQ(recorder_.first_end(), "exit status 7");
  EXPECT_EQ(recorder_.first_line(), "last");
}

TEST_F(ProcessDriverTest, SaysWhyItCannotExecuteAProgram) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  NodeSpec spec = script("");
  std::ofstream(path_) << "neither ELF nor script\n";
  const auto started = driver->start(spec);
  ASSERT_EQ(started.code(), Errc::invalid_argument);
  EXPECT_NE(started.error().text().find("Exec format error"), std::string::npos) << started.error().text();
}

TEST_F(ProcessDriverTest, SaysThatAProgramIsMissing) {
  auto driver = make_process_driver(recorder_, CpuPlacement(4, 0, 1));
  NodeSpec spec = script("");
  spec.image = "/nowhere/to/be/found";
  EXPECT_EQ(driver->start(spec).code(), Errc::not_found);
}

}  // namespace
}  // namespace ebb::frontend::nodes
