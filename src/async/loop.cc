// The event loop itself, and the contexts it runs on.
//
// The loop has no stack of its own: it runs on whichever context is free, and calls events directly. An event that
// blocks takes its context out of the loop; another context goes on with the loop from its start. When the event may
// go on, the context that then runs the loop puts itself aside and switches back. So events that do not block
// cost no switch, and every loop below must find the world changed after each event it has run.
#include <xmmintrin.h>

#include <algorithm>

#include "src/async/core_state.h"

namespace ebb::detail {

namespace {
// A device poll may cost a system call, so neither a busy nor an idle core makes one at every turn.
constexpr std::size_t kTurnsPerPlatformPoll = 16;
constexpr std::size_t kLooksPerPlatformPoll = 32;
// While another core keeps this one busy: whoever sends during a poll waits until it is over.
constexpr std::size_t kLooksPerPlatformPollAmongCores = 256;
// Reading the clock costs as much as some events, so it is read once for many of them while they are short.
constexpr std::size_t kMostEventsPerLook = 64;
constexpr platform::Duration kShortWhile = Core::kLongestTurn / 16;
}

CoreState::CoreState(CoreIndex index, std::size_t core_count)
    : timers(platform::Clock::now()),
      core_count_(core_count),
      may_poll_idle_(core_count <= platform::available_cores()),
      inbound_(std::make_unique<std::atomic<CrossCoreRing*>[]>(core_count)),
      stop_status_(stop_status()),
      turns_(index) {
  // So that a context is made, or put aside, without memory that may be missing.
  contexts_.reserve(kAllContexts);
  idle_contexts_.reserve(kAllContexts);
  core_.index_ = index;
  core_.state_ = this;
  core_.grow_ready();
  current_core = &core_;
  set_running_core(index, this);
  Mailbox& mailbox = mailbox_of(index);
  const std::lock_guard lock(mailbox.mutex);
  mailbox.open = true;
}

CoreState::~CoreState() {
  // What was not run is dropped; destructors of callables may still look at the core, spawn, and set timers.
  drop_ready();
  for (std::size_t i = 0; i < core_count_; ++i) delete inbound_[i].load(std::memory_order_acquire);
  std::exchange(hooks, {}).clear();
  std::exchange(posted_, {}).clear();
  ReadyQueue& ready = core_.ready_;
  while (timers.size() != 0 || ready.head != ready.tail) {
    timers.drop_all();
    drop_ready();
  }
  ::operator delete(ready.slots, std::align_val_t{64});
  ready = {};
  set_running_core(core_.index_, nullptr);
  current_core = nullptr;
}

void CoreState::drop_ready() noexcept {
  ReadyQueue& ready = core_.ready_;
  while (ready.head != ready.tail) {
    // Out of the queue first: its destructor may make the queue grow.
    const Event dropped = std::move(ready.slots[ready.head++ & ready.mask]);
  }
}

void CoreState::run() {
  if (ContextStack* first = next_context()) {
    current_ = first;
    thread_stack_.switch_to(*first);
  } else {
    report_misuse("no memory for the first event stack of a core; give the node more memory");
  }
}

void CoreState::loop() {
  // A new context begins where an event of another one has just blocked: the hooks of that iteration are still due.
  bool any = true;
  for (; !stop_requested(); any = false) {
    begin_turn();
    // Timers first: what fell due while the core was away, such as the end of a lease, comes before events that rely on it.
    any |= run_timers();
    // Here and not at the end of a turn: one whose event blocks has no end.
    if (turn_began_ - polled_before_ > Core::kLongestTurn) any |= poll_platform();
    // Each source in turn, a bounded batch of each; | because none may be skipped.
    any |= static_cast<bool>(int{run_ready()} | int{run_inbound()} | int{run_turns()} | int{run_posted()});
    if (++turns_since_poll_ >= kTurnsPerPlatformPoll) any |= poll_platform();
    if (any || has_work()) {
      run_hooks();
    } else {
      idle();
    }
  }
  // Back to the thread's own stack for good. Contexts that are blocked now never run again.
  ContextStack* const self = current_;
  current_ = &thread_stack_;
  self->switch_to(thread_stack_);
  __builtin_unreachable();
}

void CoreState::begin_turn() noexcept {
  turn_began_ = platform::Clock::now();
  looked_at_ = turn_began_;
  // The poll itself, and the sleep that was one, took time of no event.
  if (std::exchange(just_polled_, false)) polled_before_ = turn_began_;
}

bool CoreState::look_at_the_clock() noexcept {
  const platform::Instant now = platform::Clock::now();
  events_per_look_ = now - looked_at_ > kShortWhile ? 1 : std::min(2 * events_per_look_, kMostEventsPerLook);
  events_until_look_ = events_per_look_;
  looked_at_ = now;
  return now - turn_began_ > Core::kLongestTurn;
}

void CoreState::run_event(Event& event) noexcept {
  try {
    event.run();
  } catch (...) {
    report_uncaught("an event");
  }
}

bool CoreState::run_ready() {
  ReadyQueue& ready = core_.ready_;
  if (ready.head == ready.tail) return false;
  // Events that breed events fill the batch generation by generation, and after each generation a message from
  // another core ends it: a core whose own events are long still answers.
  std::size_t left = Core::kBatch;
  do {
    std::size_t generation = std::min(ready.tail - ready.head, left);
    left -= generation;
    for (; generation != 0 && ready.head != ready.tail; --generation) {
      if (stopping()) return true;
      // Out of the queue first: the event may make the queue grow.
      Event event = std::move(ready.slots[ready.head & ready.mask]);
      ++ready.head;
      run_event(event);
      if (turn_is_over()) return true;
    }
  } while (left != 0 && ready.head != ready.tail && !inbound_waits());
  return true;
}

bool CoreState::run_inbound() {
  bool any = false;
  for (std::size_t from = 0; from < core_count_; ++from) {
    CrossCoreRing* const ring = inbound_[from].load(std::memory_order_acquire);
    if (ring == nullptr) continue;
    for (std::size_t i = 0; i < Core::kBatch && !stopping(); ++i) {
      Event event;
      if (!ring->pop(event)) break;
      any = true;
      last_came_ = ring->empty_in_order();
      entered_ = false;
      run_event(event);
      // Calls that only come into their lines are taken even then: those behind them may be of objects whose turn it is.
      if (!entered_ && turn_is_over()) break;
    }
  }
  return any;
}

bool CoreState::run_turns() {
  bool any = false;
  for (std::size_t i = 0; i < Core::kBatch && !stopping(); ++i) {
    Turn* const turn = turns_.take();
    if (turn == nullptr) break;
    any = true;
    try {
      turn->begin(*turn);
    } catch (...) {
      report_uncaught("a call");
    }
    if (turn_is_over()) break;
  }
  return any;
}

bool CoreState::run_posted() {
  if (posted_next_ == posted_.size()) {
    Mailbox& mailbox = mailbox_of(core_.index_);
    if (!mailbox.any.load(std::memory_order_acquire)) return false;
    posted_.clear();
    posted_next_ = 0;
    const std::lock_guard lock(mailbox.mutex);
    mailbox.any.store(false, std::memory_order_relaxed);
    posted_.swap(mailbox.events);
  }
  for (std::size_t i = 0; i < Core::kBatch && posted_next_ < posted_.size() && !stopping(); ++i) {
    Event event = std::move(posted_[posted_next_++]);
    run_event(event);
    if (turn_is_over()) break;
  }
  return true;
}

bool CoreState::run_timers() {
  if (timers.size() == 0) return false;
  timers.advance(turn_began_);
  bool any = false;
  // All that are due now, and none that they set: one behind thousands comes before any other event, too.
  for (std::size_t left = timers.due(); left != 0 && !stopping(); --left) {
    Event event = timers.pop_due();
    if (!event) break;
    any = true;
    run_event(event);
  }
  return any;
}

void CoreState::run_hooks() {
  if (stopping()) return;
  in_callback_ = true;
  // By index: a hook may add hooks. remove_hook() leaves an empty function, taken out here.
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    if (!hooks[i].run) continue;
    // A copy would allocate; moved out and back, so that a hook may add hooks or remove itself.
    const HookId id = hooks[i].id;
    std::function<void()> hook = std::move(hooks[i].run);
    hooks[i].run = [] {};
    try {
      hook();
    } catch (...) {
      report_uncaught("a before_wait hook");
    }
    if (hooks[i].id == id && hooks[i].run) hooks[i].run = std::move(hook);
  }
  std::erase_if(hooks, [](const Hook& hook) { return !hook.run; });
  in_callback_ = false;
}

bool CoreState::poll_platform() {
  if (stopping()) return false;
  just_polled_ = true;
  turns_since_poll_ = 0;
  looks_since_poll_ = 0;
  in_callback_ = true;
  bool any = false;
  try {
    any = platform::poll();
  } catch (...) {
    report_uncaught("a platform callback");
  }
  in_callback_ = false;
  return any;
}

bool CoreState::inbound_waits() const noexcept {
  for (std::size_t from = 0; from < core_count_; ++from) {
    const CrossCoreRing* ring = inbound_[from].load(std::memory_order_seq_cst);
    if (ring != nullptr && !ring->empty_in_order()) return true;
  }
  return mailbox_of(core_.index_).any.load(std::memory_order_seq_cst);
}

void CoreState::idle() {
  if (may_poll_idle_) {
    const platform::Instant until = platform::Clock::now() + Core::kIdlePoll;
    do {
      // Looks are counted over many short waits, so that a core which others call all the time still polls.
      for (; looks_since_poll_ < looks_per_poll_; ++looks_since_poll_) {
        if (inbound_waits()) {
          looks_per_poll_ = kLooksPerPlatformPollAmongCores;
          return;
        }
        if (stop_requested()) return;
        _mm_pause();
      }
      looks_per_poll_ = kLooksPerPlatformPoll;
      if (poll_platform()) return run_hooks();
      if (has_work()) return;
      if (timers.next_instant() <= platform::Clock::now()) return;
    } while (platform::Clock::now() < until);
  }
  // Announce, look once more, sleep: whoever makes work visible after this look sees the announcement and wakes us.
  sleeping_.store(true, std::memory_order_seq_cst);
  if (!inbound_waits() && !stop_requested()) {
    just_polled_ = true;
    in_callback_ = true;
    try {
      platform::wait(timers.next_instant());
    } catch (...) {
      report_uncaught("a platform callback");
    }
    in_callback_ = false;
  }
  sleeping_.store(false, std::memory_order_relaxed);
  run_hooks();
}

void CoreState::wake_if_asleep() noexcept {
  // Only the first of several wakers pays for the wake-up.
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst)) {
    platform::wake(core_.index_);
  }
}

CrossCoreRing* CoreState::inbound_from(CoreIndex from) {
  std::atomic<CrossCoreRing*>& place = inbound_[to_number(from)];
  CrossCoreRing* ring = place.load(std::memory_order_relaxed);  // written by this very producer
  if (ring == nullptr) {
    ring = new CrossCoreRing;
    place.store(ring, std::memory_order_seq_cst);
  }
  return ring;
}

ContextStack* CoreState::next_context() {
  if (!idle_contexts_.empty()) {
    ContextStack* context = idle_contexts_.back();
    idle_contexts_.pop_back();
    return context;
  }
  if (contexts_.size() == kAllContexts) return nullptr;
  std::unique_ptr<ContextStack> context = ContextStack::create(&CoreState::context_main, this);
  if (!context) return nullptr;
  contexts_.push_back(std::move(context));
  return contexts_.back().get();
}

bool CoreState::may_block(std::size_t limit) const noexcept {
  return !in_callback_ && current_ != &thread_stack_ && contexts_.size() - idle_contexts_.size() < limit;
}

void CoreState::block() {
  ContextStack* const self = current_;
  if (self->permit) {
    self->permit = false;
    return;
  }
  if (in_callback_ || self == &thread_stack_) {
    report_misuse("a hook, a platform callback or code outside the loop tried to block; spawn an event that does it");
  }
  ContextStack* const next = next_context();
  if (next == nullptr) {
    report_misuse("too many events of one core are blocked, or no memory is left for another stack; test "
                  "Context::can_block(), or bound the work that blocks");
  }
  self->parked = true;
  current_ = next;
  self->switch_to(*next);
}

void CoreState::resume(ContextStack& context) {
  if (!context.parked) {
    context.permit = true;
    return;
  }
  // First, since it may throw.
  core_.spawn([this, target = &context] {
    ContextStack* const self = current_;
    idle_contexts_.push_back(self);
    current_ = target;
    self->switch_to(*target);
    // Here again, as the next free context: back into the loop.
  });
  context.parked = false;
}

}  // namespace ebb::detail
