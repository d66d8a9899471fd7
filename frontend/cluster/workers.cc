#include "frontend/cluster/workers.h"

#include <chrono>

namespace ebb::frontend::cluster {
namespace {

constexpr auto kPostPause = std::chrono::milliseconds(1);

}  // namespace

void post_surely(CoreIndex core, std::function<void()> event) {
  while (Core::post(core, event).code() == Errc::overloaded) std::this_thread::sleep_for(kPostPause);
}

Workers::Workers(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

Workers::~Workers() {
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && busy_ == 0; });
}

void Workers::submit(std::function<void()> job) {
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void Workers::serve() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      ++busy_;
    }
    job();
    job = nullptr;
    {
      const std::lock_guard guard(mutex_);
      --busy_;
    }
    changed_.notify_all();
  }
}

}  // namespace ebb::frontend::cluster
