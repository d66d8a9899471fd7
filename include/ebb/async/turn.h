// Calls that have come to a core and have not begun there.
#pragma once

#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::detail {

/// A call on the core that carries it out, before it begins. Whoever makes it keeps it in place until then, and has no other use
/// of `next` and what follows, with which lines are made without memory of their own (src/async/turn_queue.h).
struct Turn {
  using Begin = void (*)(Turn& turn);
  Turn(ObjectId called, Begin run) noexcept : object(called), begin(run) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  const ObjectId object;
  const Begin begin;  ///< carries it out; in an event, which may block. What leaves it ends the node, as of any event

  Turn* next = nullptr;           // the next call of its object
  Turn* last = nullptr;           // of the first of its object: the last
  Turn* next_object = nullptr;    // of the first of its object: the first of the object whose turn comes after
  Turn* next_in_chain = nullptr;  // of the first of its object: in the index
};

/// On the core that carries it out: a call that has come there begins when its object has its turn, and never in here. False, and
/// nothing is kept of it, if as many wait as may (TurnQueue::kMaxWaiting).
bool wait_for_turn(Turn& turn) noexcept;

/// The same in an event from another core of this node. A call begins in here if no other one waits, neither for its turn nor
/// behind it on its way, or if its object is one of the runtime's that have priority (below kFirstBulkObject).
bool take_turn(Turn& turn);

/// What a call ends with that could not even wait: overloaded, a refusal.
Error no_turn();

}  // namespace ebb::detail
