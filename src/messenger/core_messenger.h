// One core's part of the messenger: its connections, and the calls that come and go by them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/scope.h"
#include "ebb/messenger/messenger.h"
#include "src/messenger/connection.h"

namespace ebb::messenger {

/// What calls of a node end with that closes itself.
inline Error closing() { return Error(Errc::cancelled, "this node is closing"); }

class CoreMessenger final : public ConnectionOwner {
 public:
  /// Accepted connections that have not ended their handshake; for a further one the oldest of them is closed.
  static constexpr std::size_t kMaxUnprovenConnections = 64;
  /// Connections that are being closed; for a further one the oldest is aborted.
  static constexpr std::size_t kMaxEndedConnections = 256;
  static constexpr std::size_t kMaxIncomingCalls = Connection::kMaxIncomingCalls;
  static constexpr std::size_t kMaxIncomingBytes = std::size_t{16} << 20;
  /// Of all connections together: a quarter of the memory of a small bare-metal node (128 MiB) for each of its two cores.
  /// Calls to objects of the runtime are bounded by their connection alone.
  static constexpr std::size_t kMaxHeldBytes = std::size_t{32} << 20;
  /// What a call counts for besides its bytes: a method without arguments that waits took 2.8 KB, most of it frames of coroutines.
  static constexpr std::size_t kCallCost = std::size_t{3} << 10;
  static constexpr platform::Duration kCloseTimeout = std::chrono::seconds(1);

  CoreMessenger(const MessengerOptions& options, MessengerHandler& handler);
  ~CoreMessenger();

  /// Listens there; where it does, with the port.
  Result<platform::Endpoint> listen(platform::Endpoint local);
  void set_local(platform::Endpoint local) noexcept { local_ = local; }

  task<Result<Bytes>> call(CallTarget target, Bytes arguments);
  task<Result<void>> send(CallTarget target, Bytes arguments);
  void set_peer(NodeId node, platform::Endpoint endpoint);
  void forget_peer(NodeId node, const std::string& reason);
  // Its end has three steps:
  /// Takes no calls of others any more. What still runs after kCloseTimeout hears that it need not, and calls nobody then.
  void begin_closing();
  /// Waits until none of them runs.
  task<void> idle();
  /// Says goodbye to everybody. Once all cores are idle: until then their calls may need this one's connections.
  task<void> close();

  // ConnectionOwner
  void on_established(Connection& connection) override;
  void on_call(Connection& connection, std::uint32_t call_id, IncomingCall call) override;
  void on_ended(Connection& connection, const Error& reason) override;
  void on_output(Connection& connection) override;
  void on_awake(Connection& connection) noexcept override { connection.enter_ring(awake_); }

 private:
  using Shared = std::shared_ptr<Connection>;
  struct Waiter {
    Completion<Result<Shared>> connected;
    TimerId timer;
    bool settled = false;  // with all others that waited
  };
  struct Peer {
    platform::Endpoint endpoint;
    bool known = false;       // set_peer() named it
    bool forgotten = false;
    std::string why;          // it was forgotten
    Shared connection;        // the one that calls go by, established
    Shared opening;           // being opened
    std::vector<Waiter*> waiters;
    std::size_t going_on = 0; // callers that waited and have not run since: nobody overtakes them
  };
  struct Ended {
    Shared connection;
    platform::Instant when;
  };

  Hello hello_to(NodeId wanted) const;
  void accept(std::unique_ptr<platform::Stream> stream);
  task<Result<Shared>> connection_to(NodeId node, platform::Instant deadline, cancel_token cancellation, bool control);
  static void give_up(Peer& peer, Waiter& waiter, const Error& why);
  void settle_waiters(Peer& peer, const Result<Shared>& outcome);
  /// An established connection, made if there is none.
  task<Result<Shared>> reach(const CallTarget& target, platform::Instant deadline);
  bool has_room_for(const Connection& connection, const IncomingCall& call) const noexcept;
  detail::Detached carry_out(Shared connection, std::uint32_t call_id, IncomingCall call);
  void cut_off(Connection& connection);
  task<void> run_one_way(IncomingCall call);
  /// Bytes that a call of the connection begins to hold, arguments or an answer, or (below zero) holds no more.
  void hold(Connection& connection, std::ptrdiff_t bytes) noexcept;
  void give_up_own_calls();
  void drop_one_way(const Connection& connection);
  Shared release(Connection& connection);
  void drop_ended();
  void give_way();
  void tick();
  void flush();
  void complain(const Connection& connection, const Error& reason);

  const MessengerOptions& options_;
  MessengerHandler& handler_;
  platform::Endpoint local_;
  std::unique_ptr<platform::Listener> listener_;
  std::unordered_map<NodeId, Peer> peers_;
  std::vector<Shared> connections_;  // all that have not ended
  RingPlace awake_;                  // heads those of them that have to be looked at
  std::vector<Ended> ended_;         // whose last output may still be on its way
  std::vector<Shared> with_output_;
  Scope scope_;               // one-way calls to this node itself
  ServedCalls own_;           // the same
  std::size_t held_bytes_ = 0;  // the sum of incoming_bytes of the connections
  std::size_t working_ = 0;   // carry_out() that have not ended
  Completion<> idle_;         // closing, and none is left
  std::uint64_t dropped_one_way_ = 0;
  HookId hook_{};
  TimerId ticker_;
  TimerId patience_;            // closing, with what still runs
  platform::Instant last_tick_ = platform::Clock::now();
  platform::Instant last_complaint_{};
  std::uint64_t unspoken_ = 0;
  bool closing_ = false;        // takes no calls of others any more
  bool calls_nobody_ = false;   // and makes none
};

}  // namespace ebb::messenger
