// One TCP connection: the state machine of RFC 9293 behind a platform::Stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "ebb/platform/stream.h"
#include "kernel/net/flow.h"
#include "kernel/net/tcp/buffers.h"
#include "kernel/net/tcp/timer_heap.h"
#include "kernel/net/tcp/timing.h"
#include "kernel/net/wire/tcp.h"

namespace kernel::net::tcp {

class Engine;
class Connection;
struct ListenerState;

/// What an application holds. Outlives its connection, or ends it.
class ConnectionStream final : public ebb::platform::Stream {
 public:
  explicit ConnectionStream(Connection& connection);
  ~ConnectionStream() override;
  void set_handler(ebb::platform::StreamHandler& handler) noexcept override;
  std::size_t send(std::span<const std::byte> bytes) override;
  void set_reading(bool reading) override;
  void close() override;
  ebb::platform::Endpoint local() const override { return local_; }
  ebb::platform::Endpoint remote() const override { return remote_; }

 private:
  friend class Connection;
  Connection* connection_;  // null once the connection is gone
  ebb::platform::Endpoint local_;
  ebb::platform::Endpoint remote_;
};

enum class State : std::uint8_t {  // [RFC 9293 3.3.2]; LISTEN is a ListenerState
  syn_sent, syn_received, established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack, time_wait, closed,
};

/// Owned by its Engine, which deletes it after the state became closed and no callback is running. Half-closed
/// connections are not offered: a peer's FIN ends our side too, once queued data is sent.
class Connection : public TimerEntry {
 public:
  Connection(Engine& engine, const Flow& flow, wire::TcpSeq initial_sequence, std::uint16_t max_segment);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins an outgoing connection.
  std::unique_ptr<ConnectionStream> open(ebb::platform::StreamHandler& handler);
  /// Answers a SYN for a listener.
  void answer(const wire::TcpSegment& syn, std::shared_ptr<ListenerState> listener);

  void on_segment(const wire::TcpSegment& segment);
  void on_timer();
  /// Delivers what set_reading or close left for the next advance().
  void on_deferred();
  /// Ends the connection: state closed, RST if the peer knows of us, on_closed(reason).
  void fail(ebb::Error reason, bool reset_peer);

  const Flow& flow() const noexcept { return flow_; }
  State state() const noexcept { return state_; }
  wire::TcpSeq receive_next() const noexcept { return receive_next_; }
  const std::shared_ptr<ListenerState>& listener() const noexcept { return listener_; }
  /// Ends TIME-WAIT early.
  void forget();
  Instant deadline() const noexcept;
  bool deferred = false;  ///< stands in the engine's list

 private:
  friend class ConnectionStream;
  void set_handler(ebb::platform::StreamHandler& handler) noexcept { if (!notified_) handler_ = &handler; }
  std::size_t send(std::span<const std::byte> bytes);
  void set_reading(bool reading);
  void close();
  void detach();

  // connection_input.cc
  void on_syn_sent(const wire::TcpSegment& segment);
  void on_outside_window(const wire::TcpSegment& segment);
  bool on_acknowledgement(const wire::TcpSegment& segment);
  void on_new_acknowledgement(wire::TcpSeq acknowledgement);
  void on_duplicate_acknowledgement();
  void update_window(const wire::TcpSegment& segment);
  void take_syn_options(const wire::TcpSegment& segment);
  bool trim(wire::TcpSegment& segment);
  void take_payload(const wire::TcpSegment& segment);
  void drain();
  void check_remote_fin();
  void become_established();
  void challenge();

  // connection_output.cc
  void output(bool force = false);
  bool send_segment(wire::TcpSeq sequence, std::size_t size, std::uint8_t flags);
  void send_syn();
  void send_acknowledgement();
  void retransmit_first();
  void on_retransmission_timeout();
  void arm_retransmission();

  bool takes_data() const noexcept { return reading_ || user_closed_ || handler_ == nullptr; }
  bool synchronized() const noexcept { return state_ != State::syn_sent && state_ != State::syn_received; }
  std::uint32_t in_flight() const noexcept { return static_cast<std::uint32_t>(send_next_ - unacknowledged_); }
  void notify_closed(ebb::Result<void> reason);
  void enter_time_wait();
  void retire();

  Engine& engine_;
  Flow flow_;
  State state_ = State::closed;
  ebb::platform::StreamHandler* handler_ = nullptr;
  ConnectionStream* stream_ = nullptr;
  std::shared_ptr<ListenerState> listener_;

  // Sending [RFC 9293 3.3.1]. The buffer's first byte is unacknowledged_ once the SYN is acknowledged.
  bool starved_ = false;  // send() found no memory
  SendBuffer send_buffer_;
  wire::TcpSeq unacknowledged_;      // SND.UNA
  wire::TcpSeq send_next_;           // SND.NXT; goes back to SND.UNA at a timeout
  wire::TcpSeq send_max_;            // one past the highest ever sent
  wire::TcpSeq fin_sequence_;        // where our FIN stands, once sent
  wire::TcpSeq window_sequence_;     // SND.WL1
  wire::TcpSeq window_acknowledgement_;  // SND.WL2
  std::uint32_t send_window_ = 0;
  std::uint32_t max_send_window_ = 0;
  std::uint32_t max_segment_;        // payload bytes of a full segment
  std::uint8_t send_shift_ = 0;
  bool syn_acknowledged_ = false;
  bool fin_queued_ = false;
  bool fin_sent_ = false;
  bool fin_acknowledged_ = false;
  bool want_writable_ = false;

  // Receiving.
  ReceiveBuffer receive_buffer_;
  wire::TcpSeq receive_next_;        // RCV.NXT
  wire::TcpSeq advertised_;          // right edge of the window the peer knows
  std::optional<wire::TcpSeq> remote_fin_;
  std::uint32_t unanswered_bytes_ = 0;  // received since our last acknowledgement
  std::uint8_t receive_shift_ = 0;
  bool peer_scales_ = false;
  bool fin_received_ = false;
  bool acknowledge_now_ = false;
  bool reading_ = true;
  bool user_closed_ = false;
  bool notified_ = false;

  // Loss and congestion.
  RetransmissionTimeout timeout_;
  CongestionWindow congestion_;
  wire::TcpSeq recover_;             // [RFC 6582]
  wire::TcpSeq timed_end_;
  Instant timed_at_{};
  bool timing_ = false;
  bool recovering_ = false;
  unsigned duplicates_ = 0;
  unsigned retransmissions_ = 0;     // in a row

  // Deadlines; kNever when off.
  Instant retransmit_at_ = ebb::platform::kNever;  // also the zero-window probe
  Instant acknowledge_at_ = ebb::platform::kNever;
  Instant state_at_ = ebb::platform::kNever;       // TIME-WAIT, FIN-WAIT-2, a close nobody waits for
  Instant output_at_ = ebb::platform::kNever;      // the transmit ring was full
  Instant challenge_since_{};
  unsigned challenges_ = 0;
};

}  // namespace kernel::net::tcp
