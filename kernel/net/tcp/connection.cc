// A connection's life as its owner sees it: open, send, read or not, close. Segments in: connection_input.cc; out:
// connection_output.cc.
#include "kernel/net/tcp/connection.h"

#include <algorithm>

#include "kernel/net/tcp/engine.h"

namespace kernel::net::tcp {

using ebb::Errc;
using ebb::Error;
using ebb::platform::Endpoint;
using ebb::platform::kNever;
using wire::TcpSeq;

ConnectionStream::ConnectionStream(Connection& connection)
    : connection_(&connection), local_{connection.flow().local_address, connection.flow().local_port},
      remote_{connection.flow().remote_address, connection.flow().remote_port} {
  connection.stream_ = this;
}

ConnectionStream::~ConnectionStream() {
  if (connection_ != nullptr) connection_->detach();
}

void ConnectionStream::set_handler(ebb::platform::StreamHandler& handler) noexcept {
  if (connection_ != nullptr) connection_->set_handler(handler);
}

std::size_t ConnectionStream::send(std::span<const std::byte> bytes) {
  return connection_ != nullptr ? connection_->send(bytes) : 0;
}

void ConnectionStream::set_reading(bool reading) {
  if (connection_ != nullptr) connection_->set_reading(reading);
}

void ConnectionStream::close() {
  if (connection_ != nullptr) connection_->close();
}

Connection::Connection(Engine& engine, const Flow& flow, TcpSeq initial_sequence, std::uint16_t max_segment)
    : engine_(engine), flow_(flow), send_buffer_(engine.config().send_buffer_bytes, &engine.budget()),
      unacknowledged_(initial_sequence), send_next_(initial_sequence), send_max_(initial_sequence),
      max_segment_(max_segment), receive_buffer_(engine.config().receive_buffer_bytes, engine.config().max_gaps, &engine.budget()),
      timeout_(engine.config()), recover_(initial_sequence) {
  // The smallest shift that lets 16 bits express the whole buffer [RFC 7323 2.3].
  while ((engine.config().receive_buffer_bytes >> receive_shift_) > 0xffff && receive_shift_ < 14) ++receive_shift_;
}

Connection::~Connection() {
  if (stream_ != nullptr) stream_->connection_ = nullptr;
}

std::unique_ptr<ConnectionStream> Connection::open(ebb::platform::StreamHandler& handler) {
  handler_ = &handler;
  state_ = State::syn_sent;
  auto stream = std::make_unique<ConnectionStream>(*this);
  send_syn();
  return stream;
}

void Connection::answer(const wire::TcpSegment& syn, std::shared_ptr<ListenerState> listener) {
  state_ = State::syn_received;
  listener_ = std::move(listener);
  ++listener_->half_open;
  receive_next_ = syn.sequence + 1;
  take_syn_options(syn);
  send_syn();
}

std::size_t Connection::send(std::span<const std::byte> bytes) {
  if ((state_ != State::established && state_ != State::close_wait) || fin_queued_ || notified_) return 0;
  const auto taken = send_buffer_.append(bytes);
  if (!taken) {  // told by on_closed, which must not come from here
    starved_ = true;
    engine_.defer(*this);
    return 0;
  }
  if (*taken < bytes.size()) want_writable_ = true;
  output();
  return *taken;
}

void Connection::set_reading(bool reading) {
  reading_ = reading;
  if (reading && (receive_buffer_.ready() != 0 || fin_received_)) engine_.defer(*this);
}

void Connection::close() {
  if (user_closed_ || notified_ || state_ == State::closed) return;
  user_closed_ = true;
  if (state_ == State::syn_sent) {
    engine_.defer(*this);  // nothing is queued and the peer has nothing: over, and on_closed comes from advance()
    return;
  }
  fin_queued_ = true;
  if (receive_buffer_.ready() != 0) engine_.defer(*this);  // what the owner held back is let through
  output();
}

void Connection::detach() {
  stream_ = nullptr;
  handler_ = nullptr;
  if (state_ == State::closed || state_ == State::time_wait) return;
  if (fin_queued_) {  // closed in order and nobody waits: the rest happens in the background, for a bounded time
    state_at_ = std::min(state_at_, engine_.now() + engine_.config().fin_wait_2);
    engine_.schedule(*this);
    return;
  }
  fail(Error(Errc::node_gone, "the stream was destroyed by its owner"), true);
}

void Connection::on_deferred() {
  if (state_ == State::closed) return;
  if (starved_) {
    return fail(Error(Errc::resource_exhausted, "no memory is left for the connection's send buffer; give the node more"), true);
  }
  if (state_ == State::syn_sent) {
    if (!user_closed_) return;
    retire();
    notify_closed({});
    return;
  }
  drain();
  if (state_ == State::closed) return;
  check_remote_fin();
  if (state_ == State::closed || state_ == State::time_wait) return;
  output();
  // Tell the peer of a window that has opened by a good part; smaller steps would make it send crumbs
  // [RFC 9293 3.8.6.2.2].
  const std::uint32_t step = std::min<std::uint32_t>(2 * max_segment_, static_cast<std::uint32_t>(receive_buffer_.window()) / 2);
  const TcpSeq edge = receive_next_ + static_cast<std::uint32_t>(receive_buffer_.window());
  if (edge - advertised_ >= static_cast<std::int32_t>(std::max<std::uint32_t>(step, 1))) send_acknowledgement();
}

void Connection::notify_closed(ebb::Result<void> reason) {
  notified_ = true;
  if (handler_ == nullptr) return;
  ebb::platform::StreamHandler* handler = handler_;
  handler_ = nullptr;
  handler->on_closed(std::move(reason));
}

void Connection::fail(Error reason, bool reset_peer) {
  if (state_ == State::closed) return;
  if (reset_peer && state_ != State::syn_sent && state_ != State::time_wait) {
    // The peer takes a reset only at exactly its next expected byte [RFC 5961 3.2]: all we sent, if none was lost. If
    // some was, it asks by a challenge acknowledgement, and the engine's reset answers that.
    ++engine_.statistics().resets_sent;
    engine_.send(flow_, Outgoing{send_max_, receive_next_, wire::kTcpRst | wire::kTcpAck, 0, {}, {}, 0}, {});
  }
  retire();
  notify_closed(std::move(reason));
}

void Connection::retire() {
  if (state_ == State::syn_received) --listener_->half_open;
  state_ = State::closed;
  engine_.retire(*this);
}

void Connection::forget() {
  if (state_ == State::time_wait) retire();
}

void Connection::enter_time_wait() {
  state_ = State::time_wait;
  retransmit_at_ = acknowledge_at_ = output_at_ = kNever;
  send_buffer_.release();
  receive_buffer_.release();
  state_at_ = engine_.now() + engine_.config().time_wait;
  engine_.schedule(*this);
  if (acknowledge_now_) send_acknowledgement();
  engine_.enter_time_wait(*this);
  if (!notified_) notify_closed({});
}

Instant Connection::deadline() const noexcept {
  return std::min(std::min(retransmit_at_, acknowledge_at_), std::min(state_at_, output_at_));
}

void Connection::on_timer() {
  const Instant now = engine_.now();
  if (state_at_ <= now) {
    state_at_ = kNever;
    if (state_ == State::time_wait) {
      retire();
      return;
    }
    fail(Error(Errc::node_gone, "the peer did not finish closing the connection in time"), true);
    return;
  }
  if (acknowledge_at_ <= now) send_acknowledgement();
  if (output_at_ <= now) {
    output_at_ = kNever;
    output();
  }
  if (retransmit_at_ <= now) on_retransmission_timeout();
  engine_.schedule(*this);
}

}  // namespace kernel::net::tcp
