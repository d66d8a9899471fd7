// What only the Linux platform offers: its configuration. Programs that also build for bare metal do not include it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::platform::hosted {

/// What own_address() answers from now on, in host byte order. Any thread.
void set_own_address(std::uint32_t address) noexcept;

/// enter_core() ties a thread to one CPU, and threads that it starts inherit that. A thread that starts helpers of
/// its own (a gRPC server, libvirt's event loop) calls this first and gets back every CPU the process may use.
void unpin_this_thread() noexcept;

/// Which of the CPUs that this process may use core 0 is tied to, counted from 0; the other cores have those that follow, and
/// after the last one the first. Processes that share a machine need not all begin with the same: from the environment variable
/// EBB_FIRST_CPU, counted around, 0 if there is none. invalid_argument if it is no number; enter_core() then fails, too. Any thread.
Result<std::size_t> first_cpu();

/// Raises the limit of open files to the highest that this process may set: each connection of a node is a file, and the
/// usual limit is low. It stays as it is where that does not work. Any thread.
void raise_file_limit() noexcept;

}  // namespace ebb::platform::hosted
