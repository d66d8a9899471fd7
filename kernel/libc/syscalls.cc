// The system calls that the C and C++ libraries make, answered here. The kernel's side of the Linux ABI, as far as a
// program without files, processes and signals needs it; anything else is -ENOSYS, and said once on the console.
#include <errno.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/cpu/clock.h"
#include "kernel/cpu/console.h"
#include "kernel/cpu/instructions.h"
#include "kernel/cpu/panic.h"
#include "kernel/cpu/processor.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/random.h"
#include "kernel/libc/memory_calls.h"
#include "kernel/libc/syscall_frame.h"
#include "kernel/libc/threads.h"
#include "kernel/memory/pages.h"

namespace kernel::libc {
namespace {

struct Buffer {
  const char* base;
  std::size_t size;
};

constexpr std::uint64_t kNanoseconds = 1'000'000'000;

bool is_console(std::uint64_t descriptor) noexcept { return descriptor <= 2; }

std::int64_t write(std::uint64_t descriptor, const char* text, std::size_t size) noexcept {
  if (descriptor != 1 && descriptor != 2) return -EBADF;
  cpu::console_write(text, size);
  return static_cast<std::int64_t>(size);
}

std::int64_t write_all(std::uint64_t descriptor, const Buffer* buffers, std::size_t count) noexcept {
  std::int64_t written = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t one = write(descriptor, buffers[i].base, buffers[i].size);
    if (one < 0) return one;
    written += one;
  }
  return written;
}

// A terminal, so that the C library writes line by line.
std::int64_t console_status(std::uint64_t descriptor, void* status) noexcept {
  if (!is_console(descriptor)) return -EBADF;
  auto* words = static_cast<std::uint64_t*>(status);
  for (int i = 0; i < 18; ++i) words[i] = 0;  // struct stat has 144 bytes
  constexpr std::uint32_t kCharacterDevice = 0020000 | 0620;
  static_cast<std::uint32_t*>(status)[6] = kCharacterDevice;
  words[5] = 0x0501;  // a device number
  words[7] = 1024;    // block size
  return 0;
}

std::int64_t clock_time(std::uint64_t clock, Timespec* time) noexcept {
  constexpr std::uint64_t kRealtime = 0;
  constexpr std::uint64_t kRealtimeCoarse = 5;
  std::uint64_t now = cpu::now_ns();
  if (clock == kRealtime || clock == kRealtimeCoarse) now += cpu::wall_clock_offset_ns();
  *time = {static_cast<std::int64_t>(now / kNanoseconds), static_cast<std::int64_t>(now % kNanoseconds)};
  return 0;
}

std::int64_t sleep(std::uint64_t clock, bool absolute, const Timespec* time) noexcept {
  if (time->seconds < 0 || time->nanoseconds < 0 || time->nanoseconds >= static_cast<std::int64_t>(kNanoseconds)) return -EINVAL;
  std::uint64_t until = cpu::to_ns(time->seconds, time->nanoseconds);
  if (!absolute) {
    const std::uint64_t now = cpu::now_ns();
    until = until + now >= now ? until + now : ~std::uint64_t{0};
  } else if (clock == 0) {
    until = cpu::ns_at_wall_clock(until);
  }
  const volatile bool never = false;
  halt_until(until, &never);
  return 0;
}

std::int64_t affinity(std::size_t size, std::uint64_t* mask) noexcept {
  if (size < 8) return -EINVAL;
  const std::size_t count = cpu::processor_count();
  *mask = count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  return 8;
}

std::int64_t thread_base(std::uint64_t operation, std::uint64_t value) noexcept {
  constexpr std::uint64_t kSetGs = 0x1001;
  constexpr std::uint64_t kSetFs = 0x1002;
  if (operation == kSetFs) cpu::write_msr(cpu::Msr::fs_base, value);
  if (operation == kSetGs) cpu::write_msr(cpu::Msr::gs_base, value);
  return operation == kSetFs || operation == kSetGs ? 0 : -EINVAL;
}

struct SystemInfo {
  std::int64_t uptime;
  std::uint64_t loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
  std::uint16_t processes, padding;
  std::uint64_t total_high, free_high;
  std::uint32_t unit;
};

std::int64_t system_info(SystemInfo* info) noexcept {
  auto* bytes = reinterpret_cast<unsigned char*>(info);
  for (std::size_t i = 0; i < sizeof *info; ++i) static_cast<volatile unsigned char*>(bytes)[i] = 0;
  info->uptime = static_cast<std::int64_t>(cpu::now_ns() / kNanoseconds);
  info->total_ram = memory::total_pages() * memory::kPageBytes;
  info->free_ram = memory::free_pages() * memory::kPageBytes;
  info->processes = 1;
  info->unit = 1;
  return 0;
}

std::int64_t limits(std::uint64_t resource, std::uint64_t* old) noexcept {
  if (old == nullptr) return 0;
  constexpr std::uint64_t kStack = 3;
  constexpr std::uint64_t kStackBytes = 8 << 20;
  old[0] = old[1] = resource == kStack ? kStackBytes : ~std::uint64_t{0};
  return 0;
}

[[noreturn]] void aborted(const SyscallFrame& frame) noexcept {
  cpu::panic("the program aborted (an uncaught exception, a failed assertion, or abort())", frame.rcx,
             reinterpret_cast<std::uint64_t>(&frame + 1), frame.rbp);
}

void report_unknown(std::uint64_t number) noexcept {
  constexpr std::size_t kNumbers = 512;
  static std::atomic<std::uint64_t> reported[kNumbers / 64];
  if (number >= kNumbers) return;
  const std::uint64_t bit = std::uint64_t{1} << number % 64;
  if (reported[number / 64].fetch_or(bit, std::memory_order_relaxed) & bit) return;
  cpu::console_write("kernel: system call ");
  cpu::console_write(cpu::Decimal{number});
  cpu::console_write(" is not implemented\n");
}

}  // namespace

extern "C" void handle_syscall(SyscallFrame* frame) {
  const std::uint64_t a = frame->rdi;
  const std::uint64_t b = frame->rsi;
  const std::uint64_t c = frame->rdx;
  const std::uint64_t d = frame->r10;
  std::int64_t result = -ENOSYS;
  switch (frame->rax) {
    case SYS_write: result = write(a, reinterpret_cast<const char*>(b), c); break;
    case SYS_writev: result = write_all(a, reinterpret_cast<const Buffer*>(b), c); break;
    case SYS_read: result = a == 0 ? 0 : -EBADF; break;  // the console's input is at its end
    case SYS_close: result = is_console(a) ? 0 : -EBADF; break;
    case SYS_fstat: result = console_status(a, reinterpret_cast<void*>(b)); break;
    case SYS_newfstatat:
      result = *reinterpret_cast<const char*>(b) == 0 ? console_status(a, reinterpret_cast<void*>(c)) : -ENOENT;
      break;
    case SYS_ioctl: result = is_console(a) && b == 0x5401 /* TCGETS: is it a terminal? */ ? 0 : -ENOTTY; break;
    case SYS_fcntl: result = is_console(a) ? 2 : -EBADF; break;  // F_GETFL: O_RDWR
    case SYS_lseek: result = is_console(a) ? -ESPIPE : -EBADF; break;
    case SYS_open: case SYS_openat: case SYS_stat: case SYS_statx: case SYS_access: case SYS_readlink: case SYS_readlinkat:
    case SYS_unlink: result = -ENOENT; break;
    case SYS_getcwd:
      result = -ERANGE;
      if (b >= 2) {
        reinterpret_cast<char*>(a)[0] = '/';
        reinterpret_cast<char*>(a)[1] = 0;
        result = 2;
      }
      break;

    case SYS_brk: result = static_cast<std::int64_t>(set_break(a)); break;
    case SYS_mmap: result = map(a, b, c, d, frame->r8); break;
    case SYS_munmap: result = unmap(a, b); break;
    case SYS_mprotect: result = protect(a, b, c); break;
    case SYS_madvise: result = advise(a, b, c); break;
    case SYS_mremap: result = -ENOMEM; break;

    case SYS_arch_prctl: result = thread_base(a, b); break;
    case SYS_set_tid_address: result = set_tid_address(reinterpret_cast<int*>(a)); break;
    case SYS_clone3: result = clone3(*frame, reinterpret_cast<const CloneArguments*>(a), b); break;
    case SYS_exit: exit_thread();
    case SYS_futex:
      result = futex(reinterpret_cast<std::uint32_t*>(a), static_cast<int>(b), static_cast<std::uint32_t>(c),
                     reinterpret_cast<const void*>(d), static_cast<std::uint32_t>(frame->r9));
      break;
    case SYS_gettid: result = thread_id(); break;
    case SYS_getpid: result = 1; break;
    case SYS_sched_yield: cpu::pause(); result = 0; break;
    case SYS_sched_getaffinity: result = affinity(b, reinterpret_cast<std::uint64_t*>(c)); break;
    case SYS_getcpu:
      if (a != 0) *reinterpret_cast<std::uint32_t*>(a) = static_cast<std::uint32_t>(cpu::processor_index());
      if (b != 0) *reinterpret_cast<std::uint32_t*>(b) = 0;
      result = 0;
      break;
    case SYS_sched_setaffinity: case SYS_set_robust_list: case SYS_rt_sigaction: case SYS_rt_sigprocmask:
    case SYS_sigaltstack: case SYS_getuid: case SYS_geteuid: case SYS_getgid: case SYS_getegid: case SYS_getppid:
      result = 0;
      break;
    case SYS_rseq: break;

    case SYS_clock_gettime: result = clock_time(a, reinterpret_cast<Timespec*>(b)); break;
    case SYS_clock_getres:
      if (b != 0) *reinterpret_cast<Timespec*>(b) = {0, 1};
      result = 0;
      break;
    case SYS_nanosleep: result = sleep(1, false, reinterpret_cast<const Timespec*>(a)); break;
    case SYS_clock_nanosleep: result = sleep(a, (b & 1) != 0, reinterpret_cast<const Timespec*>(c)); break;
    case SYS_gettimeofday: {
      Timespec now{};
      clock_time(0, &now);
      *reinterpret_cast<Timespec*>(a) = {now.seconds, now.nanoseconds / 1000};
      result = 0;
      break;
    }
    case SYS_time: {
      Timespec now{};
      clock_time(0, &now);
      if (a != 0) *reinterpret_cast<std::int64_t*>(a) = now.seconds;
      result = now.seconds;
      break;
    }
    case SYS_getrandom:
      cpu::fill_random(reinterpret_cast<void*>(a), b);
      result = static_cast<std::int64_t>(b);
      break;
    case SYS_prlimit64: result = limits(b, reinterpret_cast<std::uint64_t*>(d)); break;
    case SYS_getrlimit: result = limits(a, reinterpret_cast<std::uint64_t*>(b)); break;
    case SYS_sysinfo: result = system_info(reinterpret_cast<SystemInfo*>(a)); break;

    case SYS_exit_group: cpu::power_off(static_cast<int>(a & 0xff));  // as wait(2) tells it
    case SYS_tgkill: case SYS_tkill: case SYS_kill: aborted(*frame);
    default: report_unknown(frame->rax);
  }
  frame->rax = static_cast<std::uint64_t>(result);
}

}  // namespace kernel::libc
