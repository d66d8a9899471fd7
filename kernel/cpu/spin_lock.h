// A lock for the few moments in which cores share kernel data: held for tens of instructions, with interrupts off.
#pragma once

#include <atomic>

#include "kernel/cpu/instructions.h"

namespace kernel::cpu {

class SpinLock {
 public:
  void lock() noexcept {
    // Acquire pairs with the release of unlock().
    while (held_.exchange(true, std::memory_order_acquire)) {
      while (held_.load(std::memory_order_relaxed)) pause();
    }
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

/// Takes the lock with interrupts off, for its lifetime.
class SpinGuard {
 public:
  explicit SpinGuard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~SpinGuard() { lock_.unlock(); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  InterruptGuard interrupts_;
  SpinLock& lock_;
};

}  // namespace kernel::cpu
