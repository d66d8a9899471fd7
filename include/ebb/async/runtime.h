// Starting and stopping a node's cores.
#pragma once

#include <cstddef>
#include <functional>

#include "ebb/async/task.h"

namespace ebb {

/// Runs `main` on core 0, which is the calling thread, with `count` event loops in all (1 to kMaxCores; more than
/// platform::available_cores() is allowed and then idle cores sleep at once instead of polling). When the task ends,
/// every loop stops, the threads are joined, and its value is returned. Work still under way on other cores is
/// dropped: join what must finish. If a core cannot start, that is reported in one line and the status is
/// kStartFailedStatus. An ErrorException that leaves `main` is printed and gives 1; any other exception ends the node
/// with Core::kUncaughtStatus. One run at a time in a process; may be repeated.
int run_cores(std::size_t count, std::function<task<int>()> main);

inline constexpr int kStartFailedStatus = 71;  ///< the exit status of a node whose cores cannot start

/// Makes run_cores() return `status` soon, although main has not ended; its frame is destroyed. The first call
/// counts. Does nothing when no cores run. Any thread; safe in a signal handler.
void request_stop(int status) noexcept;

}  // namespace ebb
