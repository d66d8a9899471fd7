#include "frontend/program/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "ebb/platform/platform.h"

namespace ebb::frontend {
namespace {

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void block_signals() {
  const sigset_t set = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A terminal or pipe that went away is an error of write(), not the end.
  ::signal(SIGPIPE, SIG_IGN);
}

SignalThread::SignalThread(std::function<void(int)> first, std::function<void(int)> last, std::chrono::milliseconds limit)
    : first_(std::move(first)),
      last_(std::move(last)),
      limit_(limit),
      end_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { serve(); }) {}

SignalThread::~SignalThread() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(end_, &one, sizeof one));
  thread_.join();
  ::close(end_);
}

void SignalThread::serve() {
  const sigset_t set = ending_signals();
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
  std::array<pollfd, 2> watched{{{signals, POLLIN, 0}, {end_, POLLIN, 0}}};
  int status = 0;
  std::chrono::steady_clock::time_point first;
  const auto since_first = [&first] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - first);
  };
  for (;;) {
    const auto left = std::max(limit_ - since_first(), std::chrono::milliseconds(0));
    const int ready = ::poll(watched.data(), watched.size(), status == 0 ? -1 : static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (watched[1].revents != 0) break;
    if (ready == 0) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit_).count();
      platform::write_log("ebb: the end in order takes more than " + std::to_string(seconds) +
                          " s; all is ended now. Is the application busy without waiting?");
      last_(status);
    }
    signalfd_siginfo info;
    if (::read(signals, &info, sizeof info) != sizeof info) continue;
    // A signal to a whole group comes twice where another of the group passes it on, as ebb run and timeout do.
    if (status != 0 && since_first() < kOneSignal) continue;
    if (status != 0) last_(status);
    first = std::chrono::steady_clock::now();
    status = 128 + static_cast<int>(info.ssi_signo);
    first_(status);
  }
  ::close(signals);
}

}  // namespace ebb::frontend
