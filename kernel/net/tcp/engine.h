// TCP of one core: its connections, listeners and timers, and what belongs to no connection.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "ebb/platform/stream.h"
#include "kernel/net/flow.h"
#include "kernel/net/internet.h"
#include "kernel/net/shared.h"
#include "kernel/net/siphash.h"
#include "kernel/net/tcp/buffers.h"
#include "kernel/net/tcp/connection.h"
#include "kernel/net/tcp/timer_heap.h"

namespace kernel::net::tcp {

/// A listening port; connections that are half open keep it alive, `open` says whether anybody listens.
struct ListenerState {
  ebb::platform::Endpoint local;
  ebb::platform::AcceptHandler accept;
  std::size_t half_open = 0;
  bool open = true;
};

/// What one segment says, apart from its payload.
struct Outgoing {
  wire::TcpSeq sequence;
  wire::TcpSeq acknowledgement;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  std::optional<std::uint16_t> max_segment;
  std::optional<std::uint8_t> window_shift;
  std::uint16_t segment_bytes = 0;  ///< not 0: let the link cut the payload
};

class Engine {
 public:
  static constexpr std::uint16_t kFirstEphemeralPort = 49152;        // [RFC 6335 6]
  static constexpr std::uint16_t kFirstListenPort = 32768;           // for listen() on port 0
  static constexpr std::size_t kMaxRedirects = 4096;  ///< flows passed on to the listening core; the oldest goes

  Engine(Internet& internet, Shared& shared, const SipKey& key);
  ~Engine();

  /// A TCP packet to our address. `frame` is what it came in, for passing it on.
  void receive(const wire::Ipv4Packet& packet, wire::Bytes frame, ReceiveFlags flags);
  void advance();
  Instant next_deadline() const noexcept;
  /// Nobody answers for this neighbour: connections that are being opened through it fail.
  void on_unreachable(std::uint32_t neighbour);
  /// Resets the connections that have another local address than the node has now.
  void on_address_change();

  ebb::Result<std::unique_ptr<ebb::platform::Stream>> connect(ebb::platform::Endpoint remote,
                                                             ebb::platform::StreamHandler& handler);
  ebb::Result<std::unique_ptr<ebb::platform::Listener>> listen(ebb::platform::Endpoint local,
                                                              ebb::platform::AcceptHandler accept);
  void remove_listener(const std::shared_ptr<ListenerState>& listener);
  std::size_t connection_count() const noexcept { return connections_.size() - retired_.size(); }

  // For connections.
  Instant now() const { return internet_.now(); }
  const TcpConfig& config() const noexcept { return internet_.config().tcp; }
  Internet& internet() noexcept { return internet_; }
  BufferBudget& budget() noexcept { return budget_; }
  Statistics& statistics() noexcept { return internet_.statistics(); }
  /// False when the transmit ring is full.
  bool send(const Flow& flow, const Outgoing& segment, const Pieces& payload);
  void schedule(Connection& connection);
  void defer(Connection& connection);
  void retire(Connection& connection);
  void enter_time_wait(const Connection& connection);

 private:
  struct FlowHash {
    SipKey key;
    std::size_t operator()(const Flow& flow) const noexcept;
  };
  Connection* find(const Flow& flow);
  std::shared_ptr<ListenerState> find_listener(const Flow& flow) const;
  bool redirect(const Flow& flow, const wire::TcpSegment& segment, wire::Bytes frame, ReceiveFlags flags);
  void open_passively(const Flow& flow, const wire::TcpSegment& syn, std::shared_ptr<ListenerState> listener);
  void reset(const Flow& flow, const wire::TcpSegment& segment);
  std::optional<std::uint16_t> pick_port(const ebb::platform::Endpoint& remote);
  wire::TcpSeq initial_sequence(const Flow& flow) const;
  std::uint16_t max_segment() const noexcept;
  void delete_retired();

  Internet& internet_;
  Shared& shared_;
  SipKey key_;
  BufferBudget budget_;
  std::unordered_map<Flow, std::unique_ptr<Connection>, FlowHash> connections_;
  TimerHeap<Connection> timers_;
  std::vector<Connection*> deferred_;
  std::vector<Connection*> retired_;   // closed, deleted when no callback is running
  std::deque<Flow> time_wait_;         // oldest first; may name connections that ended already
  std::vector<std::shared_ptr<ListenerState>> listeners_;
  std::unordered_map<Flow, CoreIndex, FlowHash> redirects_;
  std::deque<Flow> redirect_order_;
};

}  // namespace kernel::net::tcp
