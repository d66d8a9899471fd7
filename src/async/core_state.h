// What a core's loop needs beside the hot members of Core: rings from other cores, timers, contexts, sleep.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "src/async/context_stack.h"
#include "src/async/cross_core_ring.h"
#include "src/async/timer_wheel.h"
#include "src/async/turn_queue.h"

namespace ebb::detail {

/// Events from threads that are no cores. Static for every possible core, so that a late post() finds a closed box and
/// not a dead object.
struct Mailbox {
  std::mutex mutex;
  bool open = false;               // guarded by mutex
  std::vector<Event> events;       // guarded by mutex
  std::atomic<bool> any{false};    // a hint without the lock; seq_cst, in one order with CoreState::sleeping_
};
Mailbox& mailbox_of(CoreIndex core) noexcept;

inline constexpr std::int64_t kNotStopped = -1;

/// Everything of one core; made, used and destroyed on its thread. Others touch `inbound` and `sleeping_` only.
class CoreState {
 public:
  CoreState(CoreIndex index, std::size_t core_count);
  ~CoreState();
  CoreState(const CoreState&) = delete;
  CoreState& operator=(const CoreState&) = delete;

  Core& core() noexcept { return core_; }

  /// Runs the loop until stop. Called on the thread's own stack, which returns when the loop has ended.
  void run();

  /// Contexts. See context.h.
  bool can_block() const noexcept { return may_block(Context::kMaxContexts); }
  /// The same for what ends and cannot be refused, like a destructor: for that some contexts are kept.
  bool can_block_to_end() const noexcept { return may_block(kAllContexts); }
  std::size_t contexts_left() const noexcept {
    const std::size_t used = contexts_.size() - idle_contexts_.size();
    return used < Context::kMaxContexts ? Context::kMaxContexts - used : 0;
  }
  void block();
  void resume(ContextStack& context);
  ContextStack& current_context() noexcept { return *current_; }

  /// After an event was made visible in a ring or mailbox of this core, from the thread that did so.
  void wake_if_asleep() noexcept;

  /// The ring that `from` fills and this core empties. Made by its producer at the first use.
  CrossCoreRing* inbound_from(CoreIndex from);

  /// Where a call waits until its object has its turn; see turn.h.
  bool enter_line(Turn& turn) noexcept { return entered_ = turns_.enter(turn); }
  /// Whether a call that has just come from another core is the only one here.
  bool keeps_up() const noexcept { return last_came_ && turns_.waiting() == 0; }

  TimerWheel timers;
  struct Hook {
    HookId id;
    std::function<void()> run;
  };
  std::vector<Hook> hooks;
  std::uint32_t last_hook = 0;

 private:
  static void context_main(void* self) { static_cast<CoreState*>(self)->loop(); }
  [[noreturn]] void loop();
  bool run_ready();
  bool run_inbound();
  bool run_turns();
  bool run_posted();
  bool run_timers();
  void begin_turn() noexcept;
  /// After each event: whether those of this turn have had their time. Each source gives one of its events even then.
  bool turn_is_over() noexcept { return --events_until_look_ == 0 && look_at_the_clock(); }
  bool look_at_the_clock() noexcept;
  /// stop_requested(), for each event.
  bool stopping() const noexcept { return stop_status_.load(std::memory_order_relaxed) != kNotStopped; }
  void drop_ready() noexcept;
  void run_hooks();
  bool poll_platform();
  void idle();
  bool inbound_waits() const noexcept;
  bool has_work() const noexcept { return core_.ready_.head != core_.ready_.tail || turns_.waiting() != 0; }
  static constexpr std::size_t kAllContexts = Context::kMaxContexts + 64;
  bool may_block(std::size_t limit) const noexcept;
  ContextStack* next_context();
  void run_event(Event& event) noexcept;

  Core core_;
  // Read by whoever sends here: in a line that this core does not write while it runs.
  alignas(64) std::size_t core_count_;
  bool may_poll_idle_;
  std::unique_ptr<std::atomic<CrossCoreRing*>[]> inbound_;
  const std::atomic<std::int64_t>& stop_status_;
  alignas(64) ContextStack thread_stack_;
  ContextStack* current_ = &thread_stack_;
  std::vector<std::unique_ptr<ContextStack>> contexts_;
  std::vector<ContextStack*> idle_contexts_;
  bool in_callback_ = false;  // a hook or a platform callback runs: nothing may block
  TurnQueue turns_;            // calls that have come, from wherever
  bool last_came_ = false;     // the event that is being taken from a ring was its last
  bool entered_ = false;       // and has only entered a line
  std::vector<Event> posted_;  // taken out of the mailbox, not run yet
  std::size_t posted_next_ = 0;
  platform::Instant turn_began_;
  platform::Instant looked_at_;       // the clock, in this turn
  std::size_t events_per_look_ = 1;   // at the clock
  std::size_t events_until_look_ = 1;
  std::size_t turns_since_poll_ = 0;
  bool just_polled_ = true;           // so the next turn is the first after a poll
  platform::Instant polled_before_;   // when that turn began
  std::size_t looks_since_poll_ = 0;  // of an idle core
  std::size_t looks_per_poll_ = 0;    // how many of them until the next poll
  alignas(64) std::atomic<bool> sleeping_{false};
};

/// Reports the exception being handled and ends the node.
[[noreturn]] void report_uncaught(const char* where) noexcept;
/// Reports a programming error and ends the node.
[[noreturn]] void report_misuse(const char* text) noexcept;

/// The cores that run now; all slots are nullptr outside run_cores().
CoreState* running_core(CoreIndex core) noexcept;
void set_running_core(CoreIndex core, CoreState* state) noexcept;
void set_core_count(std::size_t count) noexcept;
/// kNotStopped, or the status to end with. This node's; it does not move.
const std::atomic<std::int64_t>& stop_status() noexcept;
bool stop_requested() noexcept;
/// No more events are posted to the core; those that were are dropped.
void close_mailbox(CoreIndex core);
/// What run_cores() does before its threads start, and after they have ended: the status to end with.
void begin_run() noexcept;
int end_run() noexcept;

}  // namespace ebb::detail
