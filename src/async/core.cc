// The calls of Core and Context: queues, timers, hooks, and the reports of programming errors.
#include "ebb/async/core.h"

#include <cxxabi.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <typeinfo>

#include "ebb/async/on_core.h"
#include "ebb/async/turn.h"
#include "ebb/base/node_local.h"
#include "src/async/contexts_left.h"
#include "src/async/core_state.h"

namespace ebb {

namespace detail {

constinit thread_local Core* current_core = nullptr;

namespace {
struct Cores {
  std::array<Mailbox, kMaxCores> mailboxes;
  std::array<std::atomic<CoreState*>, kMaxCores> running{};
  std::atomic<std::size_t> count{0};
};
NodeLocal<Cores> cores;
constexpr std::size_t kFirstReadyCapacity = 1024;
}  // namespace

Mailbox& mailbox_of(CoreIndex core) noexcept { return cores->mailboxes[to_number(core)]; }
CoreState* running_core(CoreIndex core) noexcept {
  return to_number(core) < kMaxCores ? cores->running[to_number(core)].load(std::memory_order_acquire) : nullptr;
}
void set_running_core(CoreIndex core, CoreState* state) noexcept {
  cores->running[to_number(core)].store(state, std::memory_order_release);
}
void set_core_count(std::size_t count) noexcept { cores->count.store(count, std::memory_order_release); }

void report_uncaught(const char* where) noexcept {
  std::string line = std::string("fatal: an exception left ") + where;
  if (const std::type_info* type = abi::__cxa_current_exception_type()) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> readable(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), &std::free);
    line += std::string(" (") + (readable ? readable.get() : type->name());
    try {
      throw;
    } catch (const std::exception& error) {
      line += std::string(": ") + text_of(error);
    } catch (...) {
      // No text to show; the type has to do.
    }
    line += ")";
  }
  if (current_core != nullptr) line += " on core " + std::to_string(to_number(current_core->index()));
  platform::write_log(line + "; catch it there, or run the work as a task that somebody awaits");
  platform::exit_node(Core::kUncaughtStatus);
}

void report_misuse(const char* text) noexcept {
  std::string line = std::string("fatal: ") + text;
  if (current_core != nullptr) line += " (core " + std::to_string(to_number(current_core->index())) + ")";
  platform::write_log(line);
  platform::exit_node(Core::kUncaughtStatus);
}

void spawn_on_when_room(CoreIndex core, Event event) {
  CoreState* const target = running_core(core);
  Core& here = Core::current();
  if (target == nullptr || &target->core() == &here) {
    here.spawn(std::move(event));
    return;
  }
  if (target->inbound_from(here.index())->push(event)) {
    target->wake_if_asleep();
    return;
  }
  here.spawn([core, waiting = std::make_unique<Event>(std::move(event))]() mutable {
    spawn_on_when_room(core, std::move(*waiting));
  });
}

bool wait_for_turn(Turn& turn) noexcept { return Core::current().state().enter_line(turn); }

bool take_turn(Turn& turn) {
  CoreState& here = Core::current().state();
  if (turn.object < kFirstBulkObject || here.keeps_up()) {
    turn.begin(turn);
    return true;
  }
  return here.enter_line(turn);
}

Error no_turn() {
  return Error::refusal(Errc::overloaded, "4,194,304 calls wait for their turn on core " +
                                              std::to_string(to_number(Core::current().index())) +
                                              " already; nothing ran, bound the work that makes calls");
}

std::size_t contexts_left() noexcept { return Core::current().state().contexts_left(); }

void require_can_block() {
  if (Context::can_block()) return;
  throw ErrorException(Error::refusal(Errc::overloaded,
      "this event cannot block now: it runs inside a hook or platform callback, or 1,024 contexts of this core are in use; spawn it, "
      "or bound the events that block"));
}

}  // namespace detail

std::size_t Core::count() noexcept { return detail::cores->count.load(std::memory_order_acquire); }

void Core::grow_ready() {
  const std::size_t old_capacity = ready_.slots == nullptr ? 0 : ready_.mask + 1;
  if (old_capacity == kMaxReadyEvents) {
    throw ErrorException(Error(Errc::overloaded, "4,194,304 events wait on this core already; bound the work that spawns them"));
  }
  const std::size_t capacity = old_capacity == 0 ? detail::kFirstReadyCapacity : old_capacity * 2;
  auto* slots = static_cast<Event*>(::operator new(capacity * sizeof(Event), std::align_val_t{64}));
  std::size_t count = 0;
  for (; ready_.head != ready_.tail; ++ready_.head) {
    ::new (static_cast<void*>(&slots[count++])) Event(std::move(ready_.slots[ready_.head & ready_.mask]));
  }
  ::operator delete(ready_.slots, std::align_val_t{64});
  ready_ = {slots, capacity - 1, 0, count};
}

Result<void> Core::spawn_on(CoreIndex core, Event event) {
  Core& here = current();
  detail::CoreState* const target = detail::running_core(core);
  if (target == nullptr) {
    return Error(Errc::not_found, "core " + std::to_string(to_number(core)) + " does not run on this node, which has " +
                                      std::to_string(count()) + " cores");
  }
  if (&target->core() == &here) {
    here.spawn(std::move(event));
    return {};
  }
  if (!target->inbound_from(here.index())->push(event)) {
    return Error(Errc::overloaded, "512 events are on their way to core " + std::to_string(to_number(core)) +
                                       " already; try again when it has caught up");
  }
  target->wake_if_asleep();
  return {};
}

Result<void> Core::post(CoreIndex core, Event event) {
  if (to_number(core) >= kMaxCores) return Error(Errc::not_found, "no node has a core " + std::to_string(to_number(core)));
  detail::Mailbox& mailbox = detail::mailbox_of(core);
  const std::lock_guard lock(mailbox.mutex);
  if (!mailbox.open) {
    return Error(Errc::unavailable, "core " + std::to_string(to_number(core)) + " does not run; post between start and stop");
  }
  if (mailbox.events.size() == kMaxPostedEvents) {
    return Error(Errc::overloaded, "65,536 events wait to enter core " + std::to_string(to_number(core)) + " already; try again later");
  }
  mailbox.events.push_back(std::move(event));
  mailbox.any.store(true, std::memory_order_seq_cst);
  // Under the lock: the core closes its mailbox, and so cannot go away, before it leaves.
  detail::running_core(core)->wake_if_asleep();
  return {};
}

TimerId Core::call_at(platform::Instant instant, Event event) { return state_->timers.add(instant, std::move(event)); }
TimerId Core::call_after(platform::Duration delay, Event event) {
  return state_->timers.add(detail::from_now(delay), std::move(event));
}
bool Core::cancel(TimerId timer) noexcept { return state_->timers.cancel(timer); }
std::size_t Core::pending_timers() const noexcept { return state_->timers.size(); }

HookId Core::before_wait(std::function<void()> hook) {
  const HookId id{++state_->last_hook};
  state_->hooks.push_back({id, std::move(hook)});
  return id;
}

void Core::remove_hook(HookId hook) noexcept {
  // Emptied only: the loop may be running the hooks. It takes empty ones out.
  for (auto& entry : state_->hooks) {
    if (entry.id == hook) entry.run = nullptr;
  }
}

bool Core::stopping() const noexcept { return detail::stop_requested(); }

Context& Context::current() noexcept { return Core::current().state().current_context(); }
bool Context::can_block() noexcept { return Core::current().state().can_block(); }
void Context::block() { Core::current().state().block(); }
void Context::resume() { Core::current().state().resume(static_cast<detail::ContextStack&>(*this)); }

}  // namespace ebb
