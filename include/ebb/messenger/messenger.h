// The messenger: calls between nodes, over authenticated connections of the platform's byte streams. One
// implementation for every world; docs/protocol.md says what travels.
//
// It carries bytes and knows nothing of types. Objects (src/object) encode and decode on top of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "ebb/async/cancellation.h"
#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/cluster_key.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"

namespace ebb {

/// Where a call goes, and how long its caller waits.
struct CallTarget {
  NodeId node = kNoNode;
  ObjectId object;
  CoreIndex core = kAnyCore;  ///< travels as it is; what it means is up to the receiving handler
  std::uint64_t method = 0;
  platform::Duration timeout = std::chrono::seconds(30);  ///< above zero; at most Messenger::kMaxTimeout
  cancel_token cancellation = {};  ///< ends the wait, and asks the peer to end its work
  TraceContext trace = {};         ///< travels with the call
};

/// Whether an object is one by which the runtime keeps the cluster together: its calls go before all others.
constexpr bool is_control(ObjectId object) noexcept { return object.index() < kFirstBulkObject.index(); }

/// A call as it arrives. `from` has proved that it holds the cluster key; nothing else here has been checked.
struct IncomingCall {
  NodeId from = kNoNode;
  ObjectId object;
  CoreIndex core = kAnyCore;
  std::uint64_t method = 0;
  platform::Instant deadline;  ///< of the caller, on this node's clock; its answer is worthless afterwards
  Bytes arguments;
  TraceContext trace = {};
  /// Fires when the caller gives up, or is lost, and when this node closes and has waited for a second. Good until on_call's
  /// task has ended; nullptr for a call that this node makes to itself and waits for.
  cancel_source* cancellation = nullptr;
  bool one_way = false;  ///< whatever on_call answers is dropped
};

/// What a node does with calls, and what it wants to know of its peers. Outlives the messenger.
class MessengerHandler {
 public:
  virtual ~MessengerHandler() = default;
  /// Carries out a call, on the core that owns the connection it came by. The result or the error goes back to the
  /// caller; an exception that leaves it, too, as an error.
  virtual task<Result<Bytes>> on_call(IncomingCall call) = 0;
  /// An authenticated connection with `peer` ended without forget_peer() or close() on this side: closed, reset, or
  /// silent while something was at stake on it (an idle one may be dead, and nobody hears of it). The peer may well live. On
  /// the core that owned it; must not block.
  virtual void on_connection_lost(NodeId peer, const Error& reason) = 0;
};

/// What a messenger is started with.
struct MessengerOptions {
  NodeId self = kNoNode;      ///< this node
  ClusterKey key{};           ///< both ends of a connection prove that they have it
  platform::Endpoint listen;  ///< port 0: a free one
};

/// How long nothing may come from the front end before a connection to it on which something is at stake is given up, and before a
/// backend takes it for gone (of others: 5 s). It may compute for so long, or stand still: nothing but progress waits for it.
inline constexpr platform::Duration kFrontEndSilence = std::chrono::seconds(60);

/// One a node; made and closed on core 0 while all cores run, and used from every core. Each core has its own
/// connections, one for each peer it talks to: opened at the first call, or accepted from that peer.
class Messenger {
 public:
  /// The largest argument list or result; a larger one is too_large and nothing is sent.
  static constexpr std::size_t kMaxPayloadBytes = std::size_t{4} << 20;
  static constexpr platform::Duration kMaxTimeout = std::chrono::hours(1);  ///< of one call

  /// Starts to listen on every core. Errors: address_in_use, unavailable (no network), invalid_argument.
  static task<Result<std::unique_ptr<Messenger>>> start(MessengerOptions options, MessengerHandler& handler);

  /// After close(), or when the node has stopped without it.
  virtual ~Messenger() = default;

  /// Where this node listens.
  virtual platform::Endpoint local() const noexcept = 0;

  /// Calls and waits for the answer; on any core, and the answer comes back there. Errors: what the peer's handler
  /// answers; cancelled (target.cancellation fired: the call may or may not have run); node_gone (unknown or forgotten node,
  /// connection lost, refused, or peer silent: the call may or may not have run; a refusal where nothing of it went out, and
  /// so nothing ran), resource_exhausted (it ran, and there was no memory for its result), unauthenticated, version_mismatch,
  /// deadline_exceeded, too_large, overloaded (too many calls pending here, or the peer says so), cancelled (close() came
  /// first). Waits while the connection's output is full. Calls to objects of the runtime, and their answers, go before all
  /// others.
  virtual task<Result<Bytes>> call(CallTarget target, Bytes arguments) = 0;

  /// Sends a call that is not answered, and waits only until it is queued. It runs at most once, and need not run: the
  /// connection may be lost, or the peer may have no room for one more (then it says so on its own log, not here). What goes
  /// by one core to one node arrives in order. Errors: those of call() before anything is sent.
  virtual task<Result<void>> send(CallTarget target, Bytes arguments) = 0;

  /// Where `node` listens, from now on, for every core.
  virtual task<void> set_peer(NodeId node, platform::Endpoint endpoint) = 0;

  /// `node` is gone: its connections are closed on every core, pending calls to it end with node_gone and `reason`, and
  /// so do later ones; connections that claim to come from it are refused.
  virtual task<void> forget_peer(NodeId node, std::string reason) = 0;

  /// Ends every connection after what is queued has been sent (at most a second), ends pending calls (cancelled), waits
  /// for incoming calls that are under way.
  virtual task<void> close() = 0;

 protected:
  Messenger() = default;
};

}  // namespace ebb
