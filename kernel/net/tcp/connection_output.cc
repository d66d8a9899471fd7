// What a connection sends and when [RFC 9293 3.8, RFC 5681].
#include <algorithm>

#include "kernel/net/tcp/connection.h"
#include "kernel/net/tcp/engine.h"

namespace kernel::net::tcp {

using ebb::Errc;
using ebb::Error;
using ebb::platform::kNever;
using wire::TcpSeq;

namespace {
// A full transmit ring drains within microseconds; looking again costs one poll.
constexpr Duration kRingRetry = std::chrono::microseconds(100);
constexpr std::size_t kMaxSuperSegment = 60 * 1024;  // stays below IPv4's 64 KiB with all headers
// A probe of a closed window never waits longer: on a cluster's network the opening may well have been lost.
constexpr Duration kMaxProbeInterval = std::chrono::seconds(5);
}  // namespace

bool Connection::send_segment(TcpSeq sequence, std::size_t size, std::uint8_t flags) {
  Outgoing segment;
  segment.sequence = sequence;
  segment.acknowledgement = receive_next_;
  segment.flags = flags | wire::kTcpAck;
  const std::size_t units = std::min<std::size_t>(receive_buffer_.window() >> receive_shift_, 0xffff);
  segment.window = static_cast<std::uint16_t>(units);
  if (size > max_segment_) segment.segment_bytes = static_cast<std::uint16_t>(max_segment_);
  const std::size_t offset = static_cast<std::uint32_t>(sequence - unacknowledged_);
  if (!engine_.send(flow_, segment, size != 0 ? send_buffer_.view(offset, size) : Pieces{})) {
    output_at_ = std::min(output_at_, engine_.now() + kRingRetry);
    engine_.schedule(*this);
    return false;
  }
  const TcpSeq edge = receive_next_ + static_cast<std::uint32_t>(units << receive_shift_);
  if (edge > advertised_) advertised_ = edge;
  unanswered_bytes_ = 0;
  acknowledge_now_ = false;
  acknowledge_at_ = kNever;
  return true;
}

void Connection::send_acknowledgement() {
  if (state_ == State::syn_sent || state_ == State::closed) return;
  // Past all we sent, so that the peer finds it in its window even after we went back, but never beyond that window,
  // which a probe is: the peer would not look at the acknowledgement.
  const TcpSeq edge = unacknowledged_ + send_window_;
  if (!send_segment(std::min(send_max_, edge), 0, 0)) {
    acknowledge_now_ = true;  // output() repeats it when the ring has room
    acknowledge_at_ = kNever;
  }
}

void Connection::send_syn() {
  const bool passive = state_ == State::syn_received;
  Outgoing segment;
  segment.sequence = unacknowledged_;
  segment.flags = passive ? wire::kTcpSyn | wire::kTcpAck : wire::kTcpSyn;
  if (passive) segment.acknowledgement = receive_next_;
  segment.window = static_cast<std::uint16_t>(std::min<std::size_t>(receive_buffer_.window(), 0xffff));
  segment.max_segment = static_cast<std::uint16_t>(engine_.internet().config().mtu - 40);
  if (!passive || peer_scales_) segment.window_shift = receive_shift_;
  engine_.send(flow_, segment, {});  // a full ring counts as lost: the timer repeats it
  advertised_ = receive_next_ + segment.window;
  send_next_ = send_max_ = unacknowledged_ + 1;
  if (retransmissions_ == 0) {
    timing_ = true;
    timed_end_ = send_max_;
    timed_at_ = engine_.now();
  }
  arm_retransmission();
}

void Connection::arm_retransmission() {
  Duration wait = timeout_.value();
  if (synchronized() && send_window_ == 0) wait = std::min(wait, kMaxProbeInterval);
  retransmit_at_ = engine_.now() + wait;
  engine_.schedule(*this);
}

void Connection::output(bool force) {
  if (!synchronized() || state_ == State::closed || state_ == State::time_wait) return;
  const bool segmentation = engine_.internet().config().link.tcp_segmentation;
  for (;;) {
    const std::uint32_t flying = in_flight();
    const std::uint32_t buffered = static_cast<std::uint32_t>(send_buffer_.size());
    if (fin_sent_ && send_next_ > fin_sequence_) break;  // all is sent, the FIN included
    const std::uint32_t unsent = buffered - std::min(flying, buffered);
    if (unsent == 0 && !fin_queued_) break;
    // The first two duplicate acknowledgements let one new segment each go [RFC 3042].
    std::uint32_t allowed = congestion_.bytes();
    if (!recovering_ && duplicates_ <= 2) allowed += duplicates_ * max_segment_;
    const std::uint32_t window = std::min(send_window_, allowed);
    std::uint32_t usable = window > flying ? window - flying : 0;
    if (force && flying == 0) usable = std::max(usable, 1u);
    std::uint32_t size = std::min(unsent, usable);
    size = std::min(size, segmentation ? std::max(max_segment_, static_cast<std::uint32_t>(kMaxSuperSegment) / max_segment_ * max_segment_)
                                       : max_segment_);
    if (size > max_segment_ && size < unsent) size -= size % max_segment_;  // a crumb only at the very end
    const bool all = size == unsent;
    const bool fin = fin_queued_ && all && usable > size;
    if (size == 0 && !fin) break;
    // A crumb is sent only if it is all there is or half of what the peer ever offered [RFC 9293 3.8.6.2.1].
    if (!force && size < max_segment_ && !all && size < max_send_window_ / 2) break;
    const bool fresh = send_next_ == send_max_;
    std::uint8_t flags = all && size != 0 ? wire::kTcpPush : 0;
    if (fin) flags |= wire::kTcpFin;
    if (!send_segment(send_next_, size, flags)) return;
    if (fin) {
      fin_sequence_ = send_next_ + size;
      fin_sent_ = true;
      if (state_ == State::established) state_ = State::fin_wait_1;
      if (state_ == State::close_wait) state_ = State::last_ack;
    }
    send_next_ = send_next_ + size + (fin ? 1 : 0);
    if (send_next_ > send_max_) send_max_ = send_next_;
    if (fresh && !timing_) {
      timing_ = true;
      timed_end_ = send_next_;
      timed_at_ = engine_.now();
    }
    if (retransmit_at_ == kNever) arm_retransmission();
    if (force) break;
  }
  if (acknowledge_now_) send_acknowledgement();
  // Something is left and nothing is under way that an acknowledgement could come for: probe [RFC 9293 3.8.6.1].
  const bool left = send_buffer_.size() != 0 || (fin_queued_ && !fin_acknowledged_);
  if (left && retransmit_at_ == kNever) arm_retransmission();
}

void Connection::retransmit_first() {
  const std::uint32_t size = std::min<std::uint32_t>(max_segment_, static_cast<std::uint32_t>(send_buffer_.size()));
  const bool fin = fin_sent_ && fin_sequence_ == unacknowledged_ + size;
  if (size == 0 && !fin) return;
  ++engine_.statistics().fast_retransmissions;
  timing_ = false;  // [RFC 6298 3] Karn's algorithm
  send_segment(unacknowledged_, size, fin ? wire::kTcpFin : 0);
}

void Connection::on_retransmission_timeout() {
  const TcpConfig& config = engine_.config();
  retransmit_at_ = kNever;
  const unsigned limit = state_ == State::syn_sent      ? config.max_syn_retransmissions
                         : state_ == State::syn_received ? config.max_syn_ack_retransmissions
                                                         : config.max_retransmissions;
  if (retransmissions_ >= limit) {
    fail(state_ == State::syn_sent
             ? Error(Errc::unavailable, "connecting timed out: the peer does not answer; check its address and port")
             : Error(Errc::node_gone, "the peer stopped acknowledging what it was sent"),
         true);
    return;
  }
  ++retransmissions_;
  ++engine_.statistics().retransmissions;
  timing_ = false;
  timeout_.back_off();
  if (!synchronized()) {
    send_syn();
    return;
  }
  congestion_.on_timeout(static_cast<std::uint32_t>(send_max_ - unacknowledged_), retransmissions_ == 1);
  send_next_ = unacknowledged_;  // what is beyond was perhaps lost as well; acknowledgements skip what was not
  recover_ = send_max_;
  recovering_ = false;
  duplicates_ = 0;
  output(true);
  if (retransmit_at_ == kNever && state_ != State::closed) arm_retransmission();
}

}  // namespace kernel::net::tcp
