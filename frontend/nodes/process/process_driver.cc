// Forks, watches and reaps nodes that are plain Linux processes.
#include "frontend/nodes/process/process_driver.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "frontend/nodes/line_splitter.h"

namespace ebb::frontend::nodes {
namespace {

constexpr auto kStopLimit = std::chrono::seconds(5);
/// What a pipe holds, unless somebody changes it.
constexpr std::size_t kConsoleBytes = 64 * 1024;

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }

 private:
  int number_;
};

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Error(Errc::resource_exhausted, std::string("cannot make a pipe for a node: ") + std::strerror(errno));
  }
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> child_arguments(const NodeSpec& spec) {
  std::vector<std::string> arguments{spec.image.string(), "--ebb-role=node"};
  std::istringstream words(node_arguments(spec));
  for (std::string word; words >> word;) arguments.push_back(word);
  return arguments;
}

std::vector<std::string> child_environment(int secret, std::size_t first_cpu) {
  const std::map<std::string_view, std::string> own{{"EBB_SECRET_FD", std::to_string(secret)},
                                                    {"EBB_FIRST_CPU", std::to_string(first_cpu)}};
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!own.contains(text.substr(0, text.find('=')))) variables.emplace_back(text);
  }
  for (const auto& [name, value] : own) variables.push_back(std::string(name) + "=" + value);
  return variables;
}

/// After fork in a program with threads: system calls only.
[[noreturn]] void become_node(pid_t parent, const char* path, char** arguments, char** environment, int console,
                              int secret, int problem) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::setpgid(0, 0);  // Ctrl-C is for the front end, which stops its nodes in order
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(console, STDOUT_FILENO);
  ::dup2(console, STDERR_FILENO);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  // What else the front end has open is not the node's: a copy of a socket would keep its connection open.
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  ::fcntl(secret, F_SETFD, 0);
  ::execve(path, arguments, environment);
  const int error = errno;
  [[maybe_unused]] const auto written = ::write(problem, &error, sizeof error);
  ::_exit(127);
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

class ProcessDriver final : public Driver {
 public:
  ProcessDriver(DriverObserver& observer, CpuPlacement placement) : observer_(observer), placement_(std::move(placement)) {}

  ~ProcessDriver() override {
    std::unique_lock lock(mutex_);
    for (auto& [id, child] : children_) {
      if (!child.reaped) ::kill(-child.pid, SIGKILL);
    }
    auto children = std::move(children_);
    children_.clear();
    changed_.wait(lock, [this] { return running_ == 0; });
    lock.unlock();
    for (auto& [id, child] : children) child.thread.join();
  }

  std::string_view name() const noexcept override { return "process"; }

  Result<void> check(const NodeSpec& spec, std::size_t count) override {
    if (::access(spec.image.c_str(), R_OK | X_OK) != 0) {
      return Error(Errc::not_found, "cannot execute the program '" + spec.image.string() + "': " +
                                        std::strerror(errno));
    }
    if (count > kMaxNodes) {
      return Error(Errc::resource_exhausted, "at most " + std::to_string(kMaxNodes) + " nodes can run at a time");
    }
    return {};
  }

  Result<void> start(const NodeSpec& spec) override {
    if (auto checked = check(spec, 1); !checked) return checked;
    std::unique_lock lock(mutex_);
    forget_ended();
    if (children_.contains(spec.id)) {
      return Error(Errc::invalid_argument, "node " + std::to_string(to_number(spec.id)) + " runs already");
    }
    if (children_.size() >= kMaxNodes) {
      return Error(Errc::resource_exhausted, "at most " + std::to_string(kMaxNodes) + " nodes can run at a time");
    }
    // The thread that forks must live as long as the child: the kernel ties PR_SET_PDEATHSIG to it.
    std::promise<Result<pid_t>> launched;
    auto outcome = launched.get_future();
    ++running_;
    const std::size_t first_cpu = placement_.take(spec.cores);
    std::thread thread(&ProcessDriver::run, this, spec, first_cpu, std::move(launched));
    Result<pid_t> pid = outcome.get();
    if (!pid) {
      --running_;
      placement_.give_back(first_cpu, spec.cores);
      lock.unlock();
      thread.join();
      return std::move(pid).error();
    }
    children_.emplace(spec.id, Child{*pid, false, false, std::move(thread)});
    return {};
  }

  Result<void> stop(NodeId node) override {
    std::unique_lock lock(mutex_);
    auto found = children_.find(node);
    if (found == children_.end()) {
      return Error(Errc::not_found, "node " + std::to_string(to_number(node)) + " does not run");
    }
    if (!found->second.reaped) ::kill(-found->second.pid, SIGKILL);
    const bool ended = changed_.wait_for(lock, kStopLimit, [&] {
      auto child = children_.find(node);
      return child == children_.end() || child->second.ended;
    });
    if (!ended) {
      return Error(Errc::unavailable, "node " + std::to_string(to_number(node)) + " does not end although killed");
    }
    forget_ended();
    return {};
  }

 private:
  struct Child {
    pid_t pid;
    bool reaped;  // its process id is free again: never signal it
    bool ended;   // reported; its thread takes the mutex no more, so it can be joined under it
    std::thread thread;
  };

  /// Joins the threads of nodes that have ended. Called with the mutex held.
  void forget_ended() {
    for (auto child = children_.begin(); child != children_.end();) {
      if (child->second.ended) {
        child->second.thread.join();
        child = children_.erase(child);
      } else {
        ++child;
      }
    }
  }

  static Result<pid_t> launch(const NodeSpec& spec, std::size_t first_cpu, Descriptor& console) {
    auto output = make_pipe();
    if (!output) return std::move(output).error();
    auto secret = make_pipe();
    if (!secret) return std::move(secret).error();
    auto problem = make_pipe();
    if (!problem) return std::move(problem).error();
    // A pipe holds 4 KiB and more, so this cannot block.
    if (::write(secret->write.number(), spec.key.data(), spec.key.size()) != static_cast<ssize_t>(spec.key.size())) {
      return Error(Errc::internal, "a new pipe does not take the cluster key");
    }
    auto arguments = child_arguments(spec);
    auto environment = child_environment(secret->read.number(), first_cpu);
    auto argument_pointers = pointers(arguments);
    auto environment_pointers = pointers(environment);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return Error(Errc::resource_exhausted, std::string("cannot fork a node: ") + std::strerror(errno));
    if (pid == 0) {
      become_node(parent, spec.image.c_str(), argument_pointers.data(), environment_pointers.data(),
                  output->write.number(), secret->read.number(), problem->write.number());
    }
    // Here too, so that the group exists when the first signal is sent to it. Fails where the child was faster.
    ::setpgid(pid, pid);
    problem->write = Descriptor();
    int error = 0;
    // Ends when the child has executed its program or has told why it cannot.
    ssize_t told = 0;
    while ((told = ::read(problem->read.number(), &error, sizeof error)) < 0 && errno == EINTR) {
    }
    if (told != 0) {
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      return Error(Errc::invalid_argument, "cannot execute the program '" + spec.image.string() + "' as a node: " + std::strerror(error));
    }
    console = std::move(output->read);
    return pid;
  }

  /// Hands over what the node prints until the console ends or the process does: one that it has started may hold the
  /// console open for as long as it likes.
  template <class Take>
  static void follow(Descriptor& console, pid_t pid, Take take) {
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));  // glibc 2.36 declares it for C only
    std::array<pollfd, 2> watched{{{console.number(), POLLIN, 0}, {process.number(), POLLIN, 0}}};
    std::array<char, 4096> buffer;
    std::size_t left = kConsoleBytes;  // that may be there once the process has ended
    while (left != 0) {
      if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
      const bool ended = (watched[1].revents & POLLIN) != 0;
      if (watched[0].revents == 0) {
        if (ended) return;
        continue;
      }
      const ssize_t count = ::read(console.number(), buffer.data(), ended ? std::min(left, buffer.size()) : buffer.size());
      if (count > 0) take(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
      if (count == 0 || (count < 0 && errno != EINTR)) return;
      if (ended && count > 0) left -= static_cast<std::size_t>(count);
    }
  }

  void run(NodeSpec spec, std::size_t first_cpu, std::promise<Result<pid_t>> launched) {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    Descriptor console;
    Result<pid_t> pid = launch(spec, first_cpu, console);
    launched.set_value(pid);
    if (!pid) return;
    LineSplitter lines;
    auto emit = [&](std::string_view line) { observer_.on_console_line(spec.id, line); };
    follow(console, *pid, [&](std::string_view text) { lines.feed(text, emit); });
    lines.finish(emit);
    int status = 0;
    // Waits without reaping: until `reaped` is set the process id stays taken, so stop() never signals a stranger.
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(*pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    // What the node has started ends with it.
    ::kill(-*pid, SIGKILL);
    {
      std::lock_guard lock(mutex_);
      if (auto child = children_.find(spec.id); child != children_.end()) child->second.reaped = true;
      while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
      }
    }
    observer_.on_ended(spec.id, describe(status));
    {
      std::lock_guard lock(mutex_);
      if (auto child = children_.find(spec.id); child != children_.end()) child->second.ended = true;
      --running_;
      placement_.give_back(first_cpu, spec.cores);
      changed_.notify_all();
    }
  }

  DriverObserver& observer_;
  std::mutex mutex_;
  std::condition_variable changed_;  // a child ended
  std::map<NodeId, Child> children_;
  std::size_t running_ = 0;
  CpuPlacement placement_;
};

}  // namespace

std::unique_ptr<Driver> make_process_driver(DriverObserver& observer, CpuPlacement placement) {
  return std::make_unique<ProcessDriver>(observer, std::move(placement));
}

}  // namespace ebb::frontend::nodes
