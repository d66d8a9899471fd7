// How long a node may answer for what has one place in the cluster, and when it counts as gone: the times behind the
// argument of docs/architecture.md, "Who may answer".
#pragma once

#include <chrono>

#include "ebb/platform/platform.h"

namespace ebb {

/// How often a backend tells the front end that it lives.
inline constexpr platform::Duration kHeartbeat = std::chrono::seconds(1);

/// How long after sending a heartbeat that was answered a node may answer for what has one place in the cluster.
inline constexpr platform::Duration kLease = std::chrono::seconds(3);

/// How long after its last heartbeat has arrived a member counts as gone.
inline constexpr platform::Duration kSuspect = std::chrono::seconds(5);

/// The clocks of two nodes run apart by no more than one part in so many.
inline constexpr int kClockDriftPart = 20;

/// How long after a member's last heartbeat has arrived its lease has surely run out, whatever clock it has.
inline constexpr platform::Duration kLeaseEnds = kLease + kLease / kClockDriftPart;

}  // namespace ebb
