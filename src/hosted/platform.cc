// The Linux platform of a core: CPU, translation table, event sources, wake-up.
#include "ebb/platform/platform.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include "ebb/platform/hosted.h"
#include "ebb/platform/ticks.h"
#include "ebb/platform/translation_table.h"
#include "src/hosted/core_io.h"

namespace ebb::platform {

namespace {

thread_local std::unique_ptr<hosted::CoreIo> core_io;
thread_local void* translation_table = nullptr;

// Each core's eventfd + 1; 0 = none yet. Kept open for the life of the process, so that wake() may come from anywhere,
// a signal handler included, at any time.
constinit std::array<std::atomic<int>, kMaxCores> wake_descriptors{};

// Whether the TSC runs at one rate whatever the CPU does: CPUID 0x80000007, EDX bit 8 [SDM vol. 3, 17.17.1].
bool has_invariant_tsc() noexcept {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x8000'0007, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 8 & 1) != 0;
}
const bool kInvariantTsc = has_invariant_tsc();

// The CPUs the process was given, before any thread was pinned.
const cpu_set_t& process_cpus() {
  static const cpu_set_t cpus = [] {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    // Fails on machines with more CPUs than a cpu_set_t holds: then one core, unpinned.
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) CPU_ZERO(&mask);
    return mask;
  }();
  return cpus;
}

// A core gets a CPU of its own; when there are more cores than CPUs the scheduler places them. A container may
// forbid it: then the thread runs unpinned, which is slower but right.
void pin(CoreIndex core, std::size_t first) noexcept {
  const cpu_set_t& cpus = process_cpus();
  const std::size_t count = available_cores();
  if (to_number(core) >= count) return hosted::unpin_this_thread();
  std::size_t position = (first + to_number(core)) % count;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &cpus) || position-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    static_cast<void>(sched_setaffinity(0, sizeof one, &one));
    return;
  }
}

Error system_error(const char* what, const char* advice) {
  return Error(Errc::resource_exhausted, std::string(what) + ": " + std::strerror(errno) + "; " + advice);
}

}  // namespace

Clock::time_point Clock::now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

std::uint64_t ticks() noexcept { return kInvariantTsc ? __builtin_ia32_rdtsc() : 0; }

std::size_t available_cores() noexcept {
  const int count = CPU_COUNT(&process_cpus());
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::max(count, 1)), 1, kMaxCores);
}

Result<void> enter_core(CoreIndex core) {
  if (to_number(core) >= kMaxCores) return Error(Errc::invalid_argument, "a node has at most 64 cores; start fewer");
  if (core_io) return Error(Errc::invalid_argument, "this thread is a core already; leave that one first");
  const Result<std::size_t> first = hosted::first_cpu();
  if (!first) return first.error();
  std::atomic<int>& descriptor = wake_descriptors[to_number(core)];
  if (descriptor.load(std::memory_order_acquire) == 0) {
    const int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made < 0) return system_error("cannot make an eventfd", "raise the limit of open files (ulimit -n)");
    descriptor.store(made + 1, std::memory_order_release);
  }
  void* table = mmap(nullptr, kTranslationTableBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (table == MAP_FAILED) return system_error("cannot map a core's 128 MiB translation table", "raise the limit of address space (ulimit -v)");
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, table) != 0) {
    const Error error = system_error("cannot set the GS base", "the sandbox must allow arch_prctl");
    munmap(table, kTranslationTableBytes);
    return error;
  }
  translation_table = table;
  try {
    core_io = std::make_unique<hosted::CoreIo>(descriptor.load(std::memory_order_acquire) - 1);
  } catch (const std::exception& error) {
    leave_core();
    return Error(Errc::resource_exhausted, std::string("cannot make a core's event sources: ") + error.what() + "; raise the limit of open files");
  }
  pin(core, *first);
  return {};
}

void leave_core() noexcept {
  core_io.reset();
  if (translation_table != nullptr) {
    static_cast<void>(syscall(SYS_arch_prctl, ARCH_SET_GS, nullptr));
    munmap(std::exchange(translation_table, nullptr), kTranslationTableBytes);
  }
  hosted::unpin_this_thread();
}

bool poll() { return core_io->poll(); }
void wait(Instant deadline) { core_io->wait(deadline); }

void wake(CoreIndex core) noexcept {
  const int descriptor = wake_descriptors[to_number(core)].load(std::memory_order_acquire) - 1;
  if (descriptor < 0) return;
  const int saved = errno;  // a signal handler may call this
  const std::uint64_t one = 1;
  // EAGAIN means that the count is at its end: the core has a wake-up pending anyway.
  while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
  }
  errno = saved;
}

namespace hosted {
CoreIo& current_io() noexcept { return *core_io; }

Result<std::size_t> first_cpu() {
  const char* text = std::getenv("EBB_FIRST_CPU");
  if (text == nullptr) return 0;
  std::uint16_t number = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, number);
  if (error != std::errc{} || rest != end) {
    return Error(Errc::invalid_argument, "EBB_FIRST_CPU is not the number of a CPU: set it to 0 to 65535 or unset it");
  }
  return number % available_cores();
}

void unpin_this_thread() noexcept {
  const cpu_set_t& cpus = process_cpus();
  if (CPU_COUNT(&cpus) != 0) static_cast<void>(sched_setaffinity(0, sizeof cpus, &cpus));
}
}  // namespace hosted

}  // namespace ebb::platform
