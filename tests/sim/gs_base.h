// Where %gs points: the translation table of the core that runs (platform/translation_table.h).
#pragma once

#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace ebb::sim {

/// One instruction where the kernel lets programs use it (HWCAP2_FSGSBASE, asm/hwcap2.h), else a system call, unless it points
/// there already. One thread.
inline void set_gs_base(void* base) noexcept {
  static void* present = nullptr;
  if (std::exchange(present, base) == base) return;
  static const bool direct = (getauxval(AT_HWCAP2) & 2) != 0;
  if (direct) {
    asm volatile("wrgsbase %0" : : "r"(base) : "memory");
  } else {
    static_cast<void>(syscall(SYS_arch_prctl, ARCH_SET_GS, base));
  }
}

}  // namespace ebb::sim
