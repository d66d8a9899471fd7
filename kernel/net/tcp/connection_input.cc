// What a connection does with a segment [RFC 9293 3.10.7], against forged ones as RFC 5961 says.
#include <algorithm>

#include "kernel/net/tcp/connection.h"
#include "kernel/net/tcp/engine.h"

namespace kernel::net::tcp {

using ebb::Errc;
using ebb::Error;
using ebb::platform::kNever;
using wire::TcpSegment;
using wire::TcpSeq;

namespace {
// A peer that names less gets this: the smallest segment that does not let it make us send mostly headers.
constexpr std::uint16_t kMinSegment = 128;
constexpr std::uint16_t kDefaultSegment = 536;  // [RFC 9293 3.7.1]
}  // namespace

void Connection::take_syn_options(const TcpSegment& segment) {
  const std::uint16_t offered = segment.max_segment.value_or(kDefaultSegment);
  max_segment_ = std::min<std::uint32_t>(max_segment_, std::max(offered, kMinSegment));
  peer_scales_ = segment.window_shift.has_value();
  send_shift_ = segment.window_shift.value_or(0);
  if (!peer_scales_) receive_shift_ = 0;
  send_window_ = max_send_window_ = segment.window;  // never scaled in a SYN [RFC 7323 2.2]
  window_sequence_ = segment.sequence;
  window_acknowledgement_ = segment.acknowledgement;
}

void Connection::on_segment(const TcpSegment& original) {
  if (state_ == State::closed) return;
  if (state_ == State::syn_sent) {
    on_syn_sent(original);
    return;
  }
  TcpSegment segment = original;
  if (state_ == State::syn_received && segment.has(wire::kTcpSyn) && !segment.has(wire::kTcpRst) &&
      segment.sequence + 1 == receive_next_) {
    send_syn();  // the peer did not get our answer
    return;
  }
  if (!trim(segment)) {
    on_outside_window(segment);
    return;
  }
  if (segment.has(wire::kTcpRst)) {
    if (segment.sequence != receive_next_) return challenge();  // [RFC 5961 3.2]
    if (state_ == State::time_wait) return forget();
    if (state_ == State::closing || state_ == State::last_ack) {
      // Both ends have been sent: the peer has finished and forgotten, only its last acknowledgement was lost
      // [RFC 9293 3.10.7.4, second step].
      retire();
      if (!notified_) notify_closed({});
      return;
    }
    fail(Error(Errc::node_gone, "the peer reset the connection"), false);
    return;
  }
  if (segment.has(wire::kTcpSyn)) return challenge();  // [RFC 5961 4.2]
  if (!segment.has(wire::kTcpAck)) {
    ++engine_.statistics().dropped_out_of_window;
    return;
  }
  if (!on_acknowledgement(segment)) return;
  if (state_ == State::closed || state_ == State::time_wait) {
    if (segment.has(wire::kTcpFin) && state_ == State::time_wait) send_acknowledgement();
    return;
  }
  take_payload(segment);
  if (state_ == State::closed) return;
  check_remote_fin();
  if (state_ == State::closed || state_ == State::time_wait) return;
  output();
}

void Connection::on_syn_sent(const TcpSegment& segment) {
  const bool acknowledges = segment.has(wire::kTcpAck);
  if (acknowledges && segment.acknowledgement != send_max_) {
    ++engine_.statistics().dropped_out_of_window;
    // [RFC 9293 3.10.7.3]: an acknowledgement of something else is from an older connection; a reset ends that one.
    if (!segment.has(wire::kTcpRst)) {
      ++engine_.statistics().resets_sent;
      engine_.send(flow_, Outgoing{segment.acknowledgement, TcpSeq(0), wire::kTcpRst, 0, {}, {}, 0}, {});
    }
    return;
  }
  if (segment.has(wire::kTcpRst)) {
    if (acknowledges) fail(Error(Errc::unavailable, "the peer refuses connections on this port; is its program running?"), false);
    return;
  }
  // A simultaneous open (SYN without ACK) needs both sides to pick each other's port; our ports are ephemeral ones and
  // a listener never connects, so it is left to the peer's answer to our own SYN.
  if (!segment.has(wire::kTcpSyn) || !acknowledges) return;
  receive_next_ = segment.sequence + 1;
  take_syn_options(segment);
  state_ = State::established;
  become_established();
  on_new_acknowledgement(segment.acknowledgement);
  send_acknowledgement();
  if (handler_ != nullptr) handler_->on_connected();
  if (state_ != State::closed) output();
}

void Connection::become_established() {
  congestion_.start(max_segment_);
  if (retransmissions_ != 0) timeout_.after_repeated_syn();
}

/// Cuts what lies outside the window off; false if nothing acceptable is left [RFC 9293 3.10.7.4, first step].
bool Connection::trim(TcpSegment& segment) {
  const std::int64_t window = static_cast<std::int64_t>(receive_buffer_.window());
  const std::int64_t start = segment.sequence - receive_next_;
  const std::int64_t length = segment.length();
  if (length == 0) return start >= 0 && start <= window;
  if (window == 0 && start == 0 && !segment.has(wire::kTcpSyn)) {  // a probe: its acknowledgement counts, its data not
    segment.payload = {};
    segment.flags &= static_cast<std::uint8_t>(~wire::kTcpFin);
    acknowledge_now_ = true;
    return true;
  }
  if (start >= window || start + length <= 0) return false;
  if (segment.has(wire::kTcpSyn) || segment.has(wire::kTcpRst)) return true;
  if (start < 0) {
    segment.payload = segment.payload.subspan(std::min(static_cast<std::size_t>(-start), segment.payload.size()));
    segment.sequence = receive_next_;
    acknowledge_now_ = true;
  }
  const std::size_t room = static_cast<std::size_t>(window - std::max<std::int64_t>(start, 0));
  if (segment.payload.size() > room) {
    segment.payload = segment.payload.first(room);
    segment.flags &= static_cast<std::uint8_t>(~wire::kTcpFin);
    acknowledge_now_ = true;
  }
  return true;
}

void Connection::on_outside_window(const TcpSegment& segment) {
  ++engine_.statistics().dropped_out_of_window;
  if (segment.has(wire::kTcpRst)) return;
  // A segment with data is answered each time: the peer lost our acknowledgement. One without could be an answer to
  // ours, and two sides that disagree would go on for ever: those are answered at a bounded rate.
  if (segment.length() == 0 || segment.has(wire::kTcpSyn)) return challenge();
  if (segment.has(wire::kTcpAck) && synchronized() && segment.acknowledgement > unacknowledged_ &&
      segment.acknowledgement <= send_max_) {
    on_new_acknowledgement(segment.acknowledgement);  // old data, but news of ours
    if (state_ == State::closed) return;
  }
  if (state_ == State::time_wait) state_at_ = engine_.now() + engine_.config().time_wait;
  acknowledge_now_ = true;
  output();
  if (acknowledge_now_) send_acknowledgement();
}

void Connection::challenge() {
  const Instant now = engine_.now();
  if (challenges_ == 0 || now - challenge_since_ >= std::chrono::seconds(1)) {
    challenge_since_ = now;
    challenges_ = 0;
  }
  if (challenges_ >= engine_.config().max_challenge_acks_per_second) return;
  ++challenges_;
  ++engine_.statistics().challenge_acks;
  send_acknowledgement();
}

bool Connection::on_acknowledgement(const TcpSegment& segment) {
  const TcpSeq acknowledgement = segment.acknowledgement;
  if (state_ == State::syn_received) {
    if (acknowledgement != send_max_) {
      ++engine_.statistics().dropped_out_of_window;
      ++engine_.statistics().resets_sent;
      engine_.send(flow_, Outgoing{acknowledgement, TcpSeq(0), wire::kTcpRst, 0, {}, {}, 0}, {});
      return false;
    }
    --listener_->half_open;
    state_ = State::established;
    become_established();
    on_new_acknowledgement(acknowledgement);
    update_window(segment);
    const auto listener = std::move(listener_);  // alive while its callback runs, whoever closes it meanwhile
    if (!listener->open) {
      fail(Error(Errc::unavailable, "the listener is gone"), true);
      return false;
    }
    listener->accept(std::make_unique<ConnectionStream>(*this));
    if (state_ == State::closed) return false;
    if (stream_ != nullptr && handler_ == nullptr) {  // kept without a handler: nobody would ever hear of its end
      fail(Error(Errc::internal, "the acceptor set no handler"), true);
      return false;
    }
    return true;
  }
  // [RFC 5961 5.2]
  if (acknowledgement > send_max_ || acknowledgement - unacknowledged_ < -static_cast<std::int64_t>(max_send_window_)) {
    ++engine_.statistics().dropped_out_of_window;
    challenge();
    return false;
  }
  if (acknowledgement > unacknowledged_) {
    update_window(segment);
    on_new_acknowledgement(acknowledgement);
    return state_ != State::closed;
  }
  const std::uint32_t offered = std::uint32_t{segment.window} << send_shift_;
  const bool duplicate = acknowledgement == unacknowledged_ && send_max_ != unacknowledged_ && segment.length() == 0 &&
                         offered == send_window_;
  update_window(segment);
  if (send_window_ == 0) retransmissions_ = 0;  // the peer lives and holds us back: probe as long as it answers
  if (duplicate && send_window_ != 0) on_duplicate_acknowledgement();
  return true;
}

void Connection::update_window(const TcpSegment& segment) {
  if (segment.acknowledgement < unacknowledged_) return;
  if (window_sequence_ > segment.sequence ||
      (window_sequence_ == segment.sequence && window_acknowledgement_ > segment.acknowledgement))
    return;
  const std::uint32_t offered = std::uint32_t{segment.window} << send_shift_;
  if (send_window_ == 0 && offered != 0) {
    // What is under way was a probe that the closed window refused.
    if (segment.acknowledgement == unacknowledged_) send_next_ = unacknowledged_;
    retransmit_at_ = kNever;
  }
  send_window_ = offered;
  max_send_window_ = std::max(max_send_window_, offered);
  window_sequence_ = segment.sequence;
  window_acknowledgement_ = segment.acknowledgement;
}

void Connection::on_new_acknowledgement(TcpSeq acknowledgement) {
  std::uint32_t bytes = static_cast<std::uint32_t>(acknowledgement - unacknowledged_);
  if (!syn_acknowledged_) {
    syn_acknowledged_ = true;
    --bytes;
  }
  if (fin_sent_ && !fin_acknowledged_ && acknowledgement > fin_sequence_) {
    fin_acknowledged_ = true;
    --bytes;
  }
  send_buffer_.consume(bytes);
  unacknowledged_ = acknowledgement;
  if (send_next_ < unacknowledged_) send_next_ = unacknowledged_;
  retransmissions_ = 0;
  if (timing_ && acknowledgement >= timed_end_) {
    timing_ = false;
    timeout_.sample(engine_.now() - timed_at_);
  }
  const auto flight = static_cast<std::uint32_t>(send_max_ - unacknowledged_);
  if (recovering_ && acknowledgement >= recover_) {
    recovering_ = false;
    congestion_.leave_recovery(flight);
  } else if (recovering_) {
    congestion_.on_partial(bytes);
    retransmit_first();
  } else {
    congestion_.on_acknowledged(bytes);
  }
  duplicates_ = 0;
  if (flight == 0) {
    retransmit_at_ = kNever;
  } else {
    arm_retransmission();
  }
  if (state_at_ != kNever && state_ != State::time_wait && stream_ == nullptr)  // a close in the background gets on
    state_at_ = engine_.now() + engine_.config().fin_wait_2;

  if (fin_acknowledged_) {
    switch (state_) {
      case State::fin_wait_1:
        state_ = State::fin_wait_2;
        state_at_ = engine_.now() + engine_.config().fin_wait_2;
        engine_.schedule(*this);
        break;
      case State::closing: enter_time_wait(); return;
      case State::last_ack:
        retire();
        if (!notified_) notify_closed({});
        return;
      default: break;
    }
  }
  if (want_writable_ && send_buffer_.room() >= engine_.config().send_buffer_bytes / 4 && !fin_queued_) {
    want_writable_ = false;
    if (handler_ != nullptr) handler_->on_writable();
  }
}

void Connection::on_duplicate_acknowledgement() {
  ++duplicates_;
  if (recovering_) {
    congestion_.on_duplicate_in_recovery();
  } else if (duplicates_ == 3 && unacknowledged_ >= recover_) {
    recovering_ = true;
    recover_ = send_max_;
    congestion_.enter_recovery(static_cast<std::uint32_t>(send_max_ - unacknowledged_));
    retransmit_first();
    arm_retransmission();
  }
}

void Connection::take_payload(const TcpSegment& segment) {
  TcpSegment rest = segment;
  if (remote_fin_) {  // nothing comes after the end
    const std::int32_t allowed = *remote_fin_ - rest.sequence;
    if (allowed < static_cast<std::int64_t>(rest.payload.size()))
      rest.payload = rest.payload.first(static_cast<std::size_t>(std::max(allowed, 0)));
  } else if (rest.has(wire::kTcpFin)) {
    remote_fin_ = rest.sequence + static_cast<std::uint32_t>(rest.payload.size());
    acknowledge_now_ = true;
  }
  if (fin_received_) acknowledge_now_ = acknowledge_now_ || segment.length() != 0;
  if (rest.payload.empty() || fin_received_) return;

  if (state_ == State::fin_wait_2 && handler_ != nullptr)  // not silent: the peer may finish what it has to say
    state_at_ = engine_.now() + engine_.config().fin_wait_2;
  const std::size_t size = rest.payload.size();
  const bool in_order = rest.sequence == receive_next_;
  const bool had_gaps = receive_buffer_.has_gaps();
  unanswered_bytes_ += static_cast<std::uint32_t>(size);
  // At least every second full segment is acknowledged at once, and whatever tells the peer of a loss
  // [RFC 9293 3.8.6.3, RFC 5681 4.2].
  if (!in_order || had_gaps || unanswered_bytes_ >= 2 * max_segment_) {
    acknowledge_now_ = true;
  } else if (acknowledge_at_ == kNever) {
    acknowledge_at_ = engine_.now() + engine_.config().delayed_ack;
    engine_.schedule(*this);
  }
  if (in_order && !had_gaps && receive_buffer_.ready() == 0 && takes_data()) {  // the common case: no copy
    receive_buffer_.skip(size);
    receive_next_ = receive_next_ + static_cast<std::uint32_t>(size);
    if (handler_ != nullptr) handler_->on_data(rest.payload);
    return;
  }
  bool kept = false;
  const std::size_t offset = static_cast<std::uint32_t>(rest.sequence - receive_next_);
  receive_next_ = receive_next_ + static_cast<std::uint32_t>(receive_buffer_.insert(offset, rest.payload, kept));
  if (!kept) ++engine_.statistics().dropped_gaps;
  drain();
}

void Connection::drain() {
  while (receive_buffer_.ready() != 0 && takes_data() && state_ != State::closed) {
    const auto piece = receive_buffer_.view_ready()[0];
    if (handler_ != nullptr) handler_->on_data(piece);
    receive_buffer_.take(piece.size());
  }
}

void Connection::check_remote_fin() {
  if (!fin_received_ && remote_fin_ && receive_next_ == *remote_fin_) {
    fin_received_ = true;
    receive_next_ = receive_next_ + 1;
    acknowledge_now_ = true;
    switch (state_) {
      case State::established: state_ = State::close_wait; break;
      case State::fin_wait_1: state_ = State::closing; break;
      case State::fin_wait_2: enter_time_wait(); return;
      default: break;
    }
  }
  // An owner that holds back reading holds back the end too: it may have to send before it can read on.
  if (!fin_received_ || receive_buffer_.ready() != 0 || notified_ || user_closed_ || !takes_data()) return;
  // The peer is done and everything is delivered: our side ends too, in the background.
  fin_queued_ = true;
  state_at_ = engine_.now() + engine_.config().fin_wait_2;
  engine_.schedule(*this);
  notify_closed({});
}

}  // namespace kernel::net::tcp
