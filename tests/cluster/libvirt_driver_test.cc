// The libvirt driver with a real libvirtd, QEMU and a trivial guest, on a network of its own.
#include "frontend/nodes/libvirt/libvirt_driver.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "frontend/nodes/image_kind.h"
#include "frontend/nodes/libvirt/domain_xml.h"
#include "frontend/nodes/libvirt/key_file.h"

namespace ebb::frontend::nodes {
namespace {

class Recorder final : public DriverObserver {
 public:
  void on_console_line(NodeId, std::string_view line) override {
    std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
    changed_.notify_all();
  }
  void on_ended(NodeId, std::string) override {
    std::lock_guard lock(mutex_);
    ++ended_;
    changed_.notify_all();
  }
  bool wait_for_end() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ended_ != 0; });
  }
  bool wait_for_line(std::string_view wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] {
      return std::find(lines_.begin(), lines_.end(), wanted) != lines_.end();
    });
  }
  std::size_t ended() {
    std::lock_guard lock(mutex_);
    return ended_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::size_t ended_ = 0;
};

LibvirtSettings settings() {
  LibvirtSettings result;
  result.network = "multilibos-test";
  result.bridge = "mlbost0";
  result.address = 0x0a58'fe01;  // 10.88.254.1
  return result;
}

NodeSpec node(std::uint32_t id) {
  NodeSpec spec;
  spec.id = NodeId{id};
  spec.cores = 2;
  spec.image = EBB_TRIVIAL_IMAGE;
  spec.frontend = {0x0a58'fe01, 7001};
  spec.key.fill(std::byte{'k'});
  return spec;
}

std::string output_of(const char* command) {
  std::string text;
  if (FILE* pipe = ::popen(command, "r"); pipe != nullptr) {
    std::array<char, 256> buffer;
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) text += buffer.data();
    ::pclose(pipe);
  }
  return text;
}

std::string own_prefix(pid_t pid) { return "multilibos-" + std::to_string(pid) + "-"; }

bool domain_runs(pid_t pid) {
  return output_of("virsh -c qemu:///system list --name").find(own_prefix(pid)) != std::string::npos;
}

bool key_file_exists(pid_t pid) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(key_folder(), error)) {
    if (entry.path().filename().string().starts_with("key-" + std::to_string(pid) + "-")) return true;
  }
  return false;
}

bool network_runs() {
  return output_of("virsh -c qemu:///system net-list --name").find("multilibos-test") != std::string::npos;
}

class LibvirtDriverTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = make_libvirt_driver(settings(), recorder_);
    ASSERT_TRUE(made) << made.error().to_string();
    driver_ = std::move(*made);
  }
  void TearDown() override {
    driver_.reset();
    EXPECT_FALSE(domain_runs(::getpid()));
    EXPECT_FALSE(key_file_exists(::getpid()));
    EXPECT_FALSE(network_runs());
  }
  Recorder recorder_;
  std::unique_ptr<Driver> driver_;
};

TEST_F(LibvirtDriverTest, ShowsEverythingThatANodePrintsAndThatItEnded) {
  auto started = driver_->start(node(3));
  ASSERT_TRUE(started) << started.error().to_string();
  EXPECT_TRUE(recorder_.wait_for_line("hello"));
  EXPECT_TRUE(recorder_.wait_for_line("--ebb-node=3 --ebb-frontend=10.88.254.1:7001 --ebb-cores=2"));
  EXPECT_TRUE(recorder_.wait_for_line(std::string(32, 'k')));
  EXPECT_TRUE(recorder_.wait_for_end());
}

TEST_F(LibvirtDriverTest, StopsANodeOnce) {
  ASSERT_TRUE(driver_->start(node(99)));
  EXPECT_TRUE(recorder_.wait_for_line("hello"));
  auto stopped = driver_->stop(NodeId{99});
  EXPECT_TRUE(stopped) << stopped.error().to_string();
  EXPECT_EQ(recorder_.ended(), 1u);
  EXPECT_EQ(driver_->stop(NodeId{99}).code(), Errc::not_found);
}

TEST_F(LibvirtDriverTest, TakesItsNodesAlongWhenItEnds) {
  ASSERT_TRUE(driver_->start(node(99)));
  driver_.reset();
  EXPECT_EQ(recorder_.ended(), 1u);
}

TEST_F(LibvirtDriverTest, LeavesTheNetworkToAnotherFrontEndThatRunsNoNodeYet) {
  Recorder recorder;
  auto other = make_libvirt_driver(settings(), recorder);
  ASSERT_TRUE(other) << other.error().to_string();
  driver_.reset();
  EXPECT_EQ(clean_libvirt_host(settings()).value().network, CleanedHost::Network::in_use);
  auto started = (*other)->start(node(99));
  EXPECT_TRUE(started) << started.error().to_string();
  EXPECT_TRUE(recorder.wait_for_line("hello"));
}

TEST_F(LibvirtDriverTest, MakesTheNetworkAnewThatSomebodyRemoved) {
  output_of("virsh -c qemu:///system net-destroy multilibos-test 2>&1");
  ASSERT_FALSE(network_runs());
  auto started = driver_->start(node(99));
  EXPECT_TRUE(started) << started.error().to_string();
}

TEST_F(LibvirtDriverTest, NamesWhoHasTheSubnetOrTheBridge) {
  Recorder recorder;
  LibvirtSettings same_subnet = settings();
  same_subnet.network = "multilibos-test-2";
  same_subnet.bridge = "mlbost1";
  LibvirtSettings same_bridge = settings();
  same_bridge.network = "multilibos-test-2";
  same_bridge.address = 0x0a58'fd01;
  for (const LibvirtSettings& taken : {same_subnet, same_bridge}) {
    const auto made = make_libvirt_driver(taken, recorder);
    ASSERT_EQ(made.code(), Errc::address_in_use);
    EXPECT_NE(made.error().text().find("`virsh net-destroy multilibos-test`"), std::string::npos) << made.error().text();
  }
}

TEST_F(LibvirtDriverTest, NamesAMissingImage) {
  NodeSpec spec = node(3);
  spec.image = "/nowhere/hello.elf";
  const auto checked = driver_->check(spec, 2);
  ASSERT_EQ(checked.code(), Errc::not_found);
  EXPECT_NE(checked.error().text().find("/nowhere/hello.elf"), std::string::npos);
}

TEST_F(LibvirtDriverTest, RefusesMoreMemoryThanTheHostHas) {
  NodeSpec spec = node(3);
  spec.memory_mib = 16'000'000;
  EXPECT_EQ(driver_->check(spec, 2).code(), Errc::resource_exhausted);
}

TEST(LibvirtDriver, SaysThatLibvirtDoesNotAnswer) {
  Recorder recorder;
  LibvirtSettings elsewhere = settings();
  elsewhere.uri = "qemu+unix:///system?socket=/nowhere/libvirt-sock";
  EXPECT_EQ(make_libvirt_driver(elsewhere, recorder).code(), Errc::unavailable);
}

TEST(LibvirtDriver, WantsALibvirtThatRunsQemu) {
  Recorder recorder;
  LibvirtSettings elsewhere = settings();
  elsewhere.uri = "test:///default";
  EXPECT_EQ(make_libvirt_driver(elsewhere, recorder).code(), Errc::invalid_argument);
}

TEST(ImageKind, TellsImagesFromPrograms) {
  EXPECT_EQ(image_kind(EBB_TRIVIAL_IMAGE), ImageKind::bare_metal);
  EXPECT_EQ(image_kind("/proc/self/exe"), ImageKind::program);
  EXPECT_EQ(image_kind("/etc/hostname"), ImageKind::other);
  EXPECT_EQ(image_kind("/no/such/file"), ImageKind::other);
}

TEST(LibvirtDriver, AKilledFrontEndLeavesNothingBehindTheNextOneStarts) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  // A program of its own: libvirt's event loop of this process does not survive a fork.
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ready[1], STDOUT_FILENO);
    ::setenv("EBB_TEST_BECOMES_FRONT_END", "1", 1);
    ::execl(program.c_str(), program.c_str(), "--gtest_filter=FrontEnd.RunsUntilKilled", nullptr);
    ::_exit(127);
  }
  ::close(ready[1]);
  std::string said;
  char byte;
  while (said.find("node runs") == std::string::npos && ::read(ready[0], &byte, 1) == 1) said += byte;
  ::close(ready[0]);
  ASSERT_NE(said.find("node runs"), std::string::npos) << said;
  EXPECT_TRUE(domain_runs(child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (int i = 0; i < 100 && domain_runs(child); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(domain_runs(child));
  {
    Recorder recorder;
    auto next = make_libvirt_driver(settings(), recorder);
    ASSERT_TRUE(next) << next.error().to_string();
    EXPECT_FALSE(key_file_exists(child));
  }
  EXPECT_FALSE(network_runs());
}

TEST_F(LibvirtDriverTest, ReapsADomainWhoseFrontEndDiedWhileLibvirtdWasDown) {
  // Made without auto-destruction and tagged with a process id of an earlier boot: nobody else will end it.
  const std::string key = testing::TempDir() + "leftover.key";
  std::ofstream(key) << std::string(32, 'k');
  DomainSettings leftover{own_prefix(::getpid()) + "leftover", "multilibos-test", false, key, {1, 1, "an earlier boot", key}};
  const std::string xml = testing::TempDir() + "leftover.xml";
  std::ofstream(xml) << domain_xml(node(99), leftover);
  output_of(("virsh -c qemu:///system create " + xml + " 2>&1").c_str());
  ASSERT_TRUE(domain_runs(::getpid()));
  const auto cleaned = clean_libvirt_host(settings());
  ASSERT_TRUE(cleaned) << cleaned.error().to_string();
  EXPECT_EQ(cleaned->nodes, 1u);
  EXPECT_EQ(cleaned->network, CleanedHost::Network::in_use);
  EXPECT_FALSE(domain_runs(::getpid()));
  std::filesystem::remove(key);
  std::filesystem::remove(xml);
}

/// The child of the test of a killed front end.
TEST(FrontEnd, RunsUntilKilled) {
  if (::getenv("EBB_TEST_BECOMES_FRONT_END") == nullptr) return;
  Recorder recorder;
  auto driver = make_libvirt_driver(settings(), recorder);
  ASSERT_TRUE(driver) << driver.error().to_string();
  ASSERT_TRUE((*driver)->start(node(99)));
  ASSERT_TRUE(recorder.wait_for_line("hello"));
  std::puts("node runs");
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::seconds(60));
}

}  // namespace
}  // namespace ebb::frontend::nodes
