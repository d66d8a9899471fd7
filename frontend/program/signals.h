// SIGINT, SIGTERM and SIGHUP of a front end: the first asks for an orderly end, the second ends at once.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace ebb::frontend {

/// Blocks the signals for this thread and those it starts. First thing in main(), before any thread.
void block_signals();

/// A thread that receives the signals. `first(128 + signal)` is called for the first one, on that thread; for the second
/// one, or when the process still lives `limit` after the first, which a line says, `last(128 + signal)`, which must not return.
class SignalThread {
 public:
  static constexpr std::chrono::milliseconds kOrderlyLimit{30'000};
  /// What comes within it after the first signal is the same one.
  static constexpr std::chrono::milliseconds kOneSignal{300};

  SignalThread(std::function<void(int)> first, std::function<void(int)> last, std::chrono::milliseconds limit = kOrderlyLimit);
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;
  ~SignalThread();

 private:
  void serve();

  const std::function<void(int)> first_;
  const std::function<void(int)> last_;
  const std::chrono::milliseconds limit_;
  int end_ = -1;  // an eventfd, readable when the thread is to end
  std::thread thread_;
};

}  // namespace ebb::frontend
