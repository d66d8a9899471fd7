// run_cores: the threads of a node's cores, from start to stop.
#include "ebb/async/runtime.h"

#include <atomic>
#include <barrier>
#include <coroutine>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "ebb/base/node_local.h"
#include "src/async/core_state.h"

namespace ebb {

namespace {

using detail::kNotStopped;
struct Process {
  // >= 0: the status to end with. Lock-free, so that a signal handler may set it.
  std::atomic<std::int64_t> stop_status{kNotStopped};
  std::atomic<bool> running{false};
};
constinit detail::NodeLocal<Process> process;
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

/// What the threads of one run share.
struct Run {
  explicit Run(std::size_t count) : started(static_cast<std::ptrdiff_t>(count)), stopped(static_cast<std::ptrdiff_t>(count)) {}
  std::barrier<> started;  // every core has entered, or has failed to
  std::barrier<> stopped;  // every loop has ended: nobody sends or wakes any more
  std::mutex mutex;
  std::string failure;  // guarded by mutex
  std::atomic<bool> failed{false};

  void fail(const std::string& text) {
    const std::lock_guard lock(mutex);
    if (!failed.exchange(true)) failure = text;
  }
};

/// The coroutine around main: starts at once, and its frame belongs to run_core, since main may never end.
struct MainFrame {
  struct promise_type {
    MainFrame get_return_object() noexcept { return MainFrame{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { detail::report_uncaught("main"); }
  };
  std::coroutine_handle<promise_type> handle;
};

MainFrame run_main(std::function<task<int>()>* main) {
  int status = 1;
  try {
    status = co_await (*main)();
  } catch (const ErrorException& error) {
    platform::write_log(error.what());
  }
  request_stop(status);
}

void run_core(Run& run, CoreIndex index, std::size_t count, std::function<task<int>()>* main) {
  const Result<void> entered = platform::enter_core(index);
  if (!entered) run.fail("core " + std::to_string(to_number(index)) + " cannot start: " + entered.error().text());
  std::unique_ptr<detail::CoreState> state;
  if (entered) {
    try {
      state = std::make_unique<detail::CoreState>(index, count);
    } catch (const std::bad_alloc&) {
      run.fail("core " + std::to_string(to_number(index)) + " cannot start: no memory for its event loop");
    }
  }
  run.started.arrive_and_wait();
  {
    std::coroutine_handle<> main_frame = nullptr;
    if (!run.failed.load()) {
      if (main != nullptr) {
        detail::set_core_count(count);
        state->core().spawn([main, &main_frame] { main_frame = run_main(main).handle; });
      }
      state->run();
      // A stop requested before the cores were counted has woken nobody.
      if (main != nullptr) {
        for (std::size_t i = 1; i < count; ++i) platform::wake(CoreIndex(static_cast<std::uint16_t>(i)));
      }
    }
    if (state) detail::close_mailbox(index);
    run.stopped.arrive_and_wait();
    if (main != nullptr) detail::set_core_count(0);
    // The frames that main was made of go while its core still exists.
    if (main_frame) main_frame.destroy();
  }
  state.reset();
  if (entered) platform::leave_core();
}

}  // namespace

void detail::close_mailbox(CoreIndex core) {
  Mailbox& mailbox = mailbox_of(core);
  std::vector<Event> dropped;
  const std::lock_guard lock(mailbox.mutex);
  mailbox.open = false;
  mailbox.any.store(false, std::memory_order_relaxed);
  dropped.swap(mailbox.events);
}

const std::atomic<std::int64_t>& detail::stop_status() noexcept { return process->stop_status; }

bool detail::stop_requested() noexcept { return process->stop_status.load(std::memory_order_seq_cst) != kNotStopped; }

void detail::begin_run() noexcept {
  process->stop_status.store(kNotStopped);
  process->running.store(true);
}

int detail::end_run() noexcept {
  process->running.store(false);
  return static_cast<int>(static_cast<std::uint32_t>(process->stop_status.load()));
}

void request_stop(int status) noexcept {
  if (!process->running.load(std::memory_order_acquire)) return;
  std::int64_t expected = kNotStopped;
  process->stop_status.compare_exchange_strong(expected, static_cast<std::uint32_t>(status), std::memory_order_seq_cst);
  for (std::size_t i = 0, count = Core::count(); i < count; ++i) platform::wake(CoreIndex(static_cast<std::uint16_t>(i)));
}

int run_cores(std::size_t count, std::function<task<int>()> main) {
  if (count == 0 || count > kMaxCores) {
    platform::write_log("cannot start " + std::to_string(count) + " cores; ask for 1 to " + std::to_string(kMaxCores));
    return kStartFailedStatus;
  }
  detail::begin_run();
  platform::available_cores();  // latched before this thread is pinned
  Run run(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < count; ++i) {
    try {
      threads.emplace_back([&run, i, count] { run_core(run, CoreIndex(static_cast<std::uint16_t>(i)), count, nullptr); });
    } catch (const std::system_error& error) {
      run.fail("only " + std::to_string(i) + " of " + std::to_string(count) + " cores can start: " + error.what());
      for (std::size_t missing = i; missing < count; ++missing) {
        run.started.arrive_and_drop();
        run.stopped.arrive_and_drop();
      }
      break;
    }
  }
  run_core(run, CoreIndex(0), count, &main);
  for (std::thread& thread : threads) thread.join();
  const int status = detail::end_run();
  if (run.failed.load()) {
    platform::write_log(run.failure);
    return kStartFailedStatus;
  }
  return status;
}

}  // namespace ebb
