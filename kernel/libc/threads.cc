#include "kernel/libc/threads.h"

#include <errno.h>

#include <atomic>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/clock.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/interrupts.h"
#include "kernel/cpu/panic.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/spin_lock.h"

extern "C" {
[[noreturn]] void enter_thread(const kernel::libc::SyscallFrame* frame, std::uint64_t stack);
[[noreturn]] void leave_thread(std::uint64_t stack);
}

namespace kernel::libc {
namespace {

// leaving: the thread has ended for whoever joins it, and the processor is about to be parked again.
enum class State : std::uint32_t { absent, parked, claimed, running, leaving };

struct Processor {
  std::atomic<State> state{State::absent};
  SyscallFrame start{};      // of the thread to run, while claimed
  std::uint64_t stack = 0;
  std::uint64_t tls = 0;
  int* clear_tid = nullptr;  // zeroed and woken when the thread ends
  std::uint64_t park_stack = 0;
};
constinit Processor processors[cpu::kMaxProcessors];
std::atomic<std::size_t> running{1};

constexpr int kFirstThread = 1;

// A thread that waits in futex(), on its stack. At most one a processor.
struct Waiter {
  const std::uint32_t* word;
  std::uint32_t bits;
  std::size_t processor;
  volatile bool woken;
  Waiter* next;
};
cpu::SpinLock futex_lock;
Waiter* waiters = nullptr;  // in the order they came

constexpr std::uint64_t kForever = ~std::uint64_t{0};

std::int64_t wake(const std::uint32_t* word, std::uint32_t most, std::uint32_t bits) noexcept {
  std::int64_t count = 0;
  std::size_t to_interrupt[cpu::kMaxProcessors];
  {
    const cpu::SpinGuard guard(futex_lock);
    for (Waiter** link = &waiters; *link != nullptr && static_cast<std::uint32_t>(count) < most;) {
      Waiter* waiter = *link;
      if (waiter->word != word || (waiter->bits & bits) == 0) {
        link = &waiter->next;
        continue;
      }
      *link = waiter->next;
      to_interrupt[count++] = waiter->processor;
      // The last use: its owner may go on, and its stack with it.
      waiter->woken = true;
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    if (to_interrupt[i] != cpu::processor_index()) cpu::send_interrupt(to_interrupt[i], cpu::kWakeVector);
  }
  return count;
}

std::int64_t wait(std::uint32_t* word, std::uint32_t value, std::uint64_t until_ns, std::uint32_t bits) noexcept {
  Waiter self{word, bits, cpu::processor_index(), false, nullptr};
  {
    const cpu::SpinGuard guard(futex_lock);
    if (__atomic_load_n(word, __ATOMIC_RELAXED) != value) return -EAGAIN;
    Waiter** link = &waiters;
    while (*link != nullptr) link = &(*link)->next;
    *link = &self;
  }
  halt_until(until_ns, &self.woken);
  const cpu::SpinGuard guard(futex_lock);
  if (self.woken) return 0;
  for (Waiter** link = &waiters; *link != nullptr; link = &(*link)->next) {
    if (*link == &self) {
      *link = self.next;
      break;
    }
  }
  return -ETIMEDOUT;
}

}  // namespace

void halt_until(std::uint64_t ns, const volatile bool* woken) noexcept {
  const cpu::InterruptGuard guard;
  while (!*woken && cpu::now_ns() < ns) {
    if (ns != kForever) cpu::set_timer(cpu::tsc_at(ns));
    cpu::enable_interrupts_and_halt();
  }
}

std::int64_t futex(std::uint32_t* word, int operation, std::uint32_t value, const void* timeout, std::uint32_t bits) noexcept {
  constexpr int kWait = 0;
  constexpr int kWake = 1;
  constexpr int kWaitBitset = 9;
  constexpr int kWakeBitset = 10;
  constexpr int kClockRealtime = 256;
  constexpr int kPrivate = 128;
  const int command = operation & ~(kClockRealtime | kPrivate);
  std::uint64_t until = kForever;
  if (const auto* time = static_cast<const Timespec*>(timeout); time != nullptr && (command == kWait || command == kWaitBitset)) {
    if (time->seconds < 0) return -ETIMEDOUT;
    const std::uint64_t given = cpu::to_ns(time->seconds, time->nanoseconds);
    // wait takes a span, the bitset form a point in time.
    if (command == kWait) {
      until = given < kForever - cpu::now_ns() ? cpu::now_ns() + given : kForever;
    } else {
      until = operation & kClockRealtime ? cpu::ns_at_wall_clock(given) : given;
    }
  }
  switch (command) {
    case kWait: return wait(word, value, until, ~0u);
    case kWaitBitset: return wait(word, value, until, bits);
    case kWake: return wake(word, value, ~0u);
    case kWakeBitset: return wake(word, value, bits);
    default: return -ENOSYS;
  }
}

void run_threads() noexcept {
  Processor& self = processors[cpu::processor_index()];
  // Once: each thread that ends comes back to the same place.
  if (self.park_stack == 0) self.park_stack = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)) & ~std::uint64_t{15};
  self.state.store(State::parked, std::memory_order_release);
  // Acquire pairs with clone3's release: the thread to run is there.
  while (self.state.load(std::memory_order_acquire) != State::running) cpu::enable_interrupts_and_halt();
  cpu::write_msr(cpu::Msr::fs_base, self.tls);
  enter_thread(&self.start, self.stack);
}

std::int64_t clone3(const SyscallFrame& frame, const CloneArguments* arguments, std::size_t size) noexcept {
  constexpr std::uint64_t kThread = 0x10000;
  constexpr std::uint64_t kSetTls = 0x80000;
  constexpr std::uint64_t kParentSetTid = 0x100000;
  constexpr std::uint64_t kChildClearTid = 0x200000;
  constexpr std::uint64_t kNeeded = kThread | kSetTls;
  if (size < sizeof(CloneArguments) || (arguments->flags & kNeeded) != kNeeded) return -EINVAL;
  for (std::size_t index = 1; index < cpu::processor_count(); ++index) {
    Processor& processor = processors[index];
    // Who joined a thread may start the next one before this one's processor has got that far: some instructions more.
    while (processor.state.load(std::memory_order_acquire) == State::leaving) cpu::pause();
    State expected = State::parked;
    if (!processor.state.compare_exchange_strong(expected, State::claimed, std::memory_order_acquire)) continue;
    const int id = kFirstThread + static_cast<int>(index);
    processor.start = frame;
    processor.stack = arguments->stack + arguments->stack_size;
    processor.tls = arguments->tls;
    processor.clear_tid = arguments->flags & kChildClearTid ? reinterpret_cast<int*>(arguments->child_tid) : nullptr;
    if (arguments->flags & kParentSetTid) *reinterpret_cast<int*>(arguments->parent_tid) = id;
    running.fetch_add(1, std::memory_order_relaxed);
    processor.state.store(State::running, std::memory_order_release);
    cpu::send_interrupt(index, cpu::kWakeVector);
    return id;
  }
  return -EAGAIN;
}

extern "C" [[noreturn]] void thread_left() {
  Processor& self = processors[cpu::processor_index()];
  self.state.store(State::leaving, std::memory_order_release);
  if (int* word = self.clear_tid) {
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    wake(reinterpret_cast<std::uint32_t*>(word), 1, ~0u);
  }
  running.fetch_sub(1, std::memory_order_relaxed);
  run_threads();
}

void exit_thread() noexcept {
  const std::size_t index = cpu::processor_index();
  if (index != 0) {
    cpu::disable_interrupts();
    leave_thread(processors[index].park_stack);
  }
  // main()'s thread ends with pthread_exit(): the process lives as long as any other thread does.
  running.fetch_sub(1, std::memory_order_relaxed);
  while (running.load(std::memory_order_relaxed) != 0) {
    const volatile bool never = false;
    halt_until(cpu::now_ns() + 10'000'000, &never);
  }
  cpu::power_off(0);
}

std::int64_t set_tid_address(int* address) noexcept {
  processors[cpu::processor_index()].clear_tid = address;
  return thread_id();
}

std::int64_t thread_id() noexcept { return kFirstThread + static_cast<std::int64_t>(cpu::processor_index()); }

}  // namespace kernel::libc
