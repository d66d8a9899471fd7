// When to send again, and how much may be under way: RFC 6298's timer and NewReno (RFC 5681, RFC 6582).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kernel/net/config.h"
#include "kernel/net/wire/tcp.h"

namespace kernel::net::tcp {

/// The retransmission timeout of one connection.
class RetransmissionTimeout {
 public:
  explicit RetransmissionTimeout(const TcpConfig& config)
      : min_(config.min_retransmission_timeout), max_(config.max_retransmission_timeout),
        timeout_(config.initial_retransmission_timeout) {}

  /// A round trip measured on a segment that was sent once [RFC 6298 2.2, 2.3].
  void sample(Duration round_trip) noexcept {
    if (!measured_) {
      smoothed_ = round_trip;
      variation_ = round_trip / 2;
      measured_ = true;
    } else {
      const Duration error = smoothed_ > round_trip ? smoothed_ - round_trip : round_trip - smoothed_;
      variation_ = (3 * variation_ + error) / 4;
      smoothed_ = (7 * smoothed_ + round_trip) / 8;
    }
    timeout_ = std::clamp(smoothed_ + std::max(kGranularity, 4 * variation_), min_, max_);
  }
  /// The timer ran out [RFC 6298 5.5].
  void back_off() noexcept { timeout_ = std::min(timeout_ * 2, max_); }
  /// A SYN had to be repeated: nothing is known about the path yet [RFC 6298 5.7].
  void after_repeated_syn() noexcept { timeout_ = std::min<Duration>(std::chrono::seconds(3), max_); }
  Duration value() const noexcept { return timeout_; }
  Duration smoothed() const noexcept { return smoothed_; }

 private:
  static constexpr Duration kGranularity = std::chrono::milliseconds(1);  // a loaded core's poll interval
  Duration min_;
  Duration max_;
  Duration timeout_;
  Duration smoothed_{};
  Duration variation_{};
  bool measured_ = false;
};

/// The congestion window of one connection; sizes in bytes.
class CongestionWindow {
 public:
  /// Ten segments to begin with [RFC 6928 2].
  void start(std::uint32_t segment) noexcept {
    segment_ = segment;
    window_ = std::min(10 * segment, std::max(2 * segment, std::uint32_t{14600}));
  }
  /// New data acknowledged outside recovery [RFC 5681 3.1], counting bytes [RFC 3465].
  void on_acknowledged(std::uint32_t bytes) noexcept {
    if (window_ < threshold_) {
      window_ += std::min(bytes, 2 * segment_);
    } else if ((acknowledged_ += bytes) >= window_) {
      acknowledged_ -= window_;
      window_ += segment_;
    }
    window_ = std::min(window_, kMax);
  }
  /// Third duplicate acknowledgement [RFC 5681 3.2].
  void enter_recovery(std::uint32_t in_flight) noexcept {
    threshold_ = std::max(in_flight / 2, 2 * segment_);
    window_ = threshold_ + 3 * segment_;
  }
  void on_duplicate_in_recovery() noexcept { window_ = std::min(window_ + segment_, kMax); }
  /// An acknowledgement inside recovery that leaves a further hole [RFC 6582 3.2 step 3].
  void on_partial(std::uint32_t bytes) noexcept {
    window_ = std::max(window_ > bytes ? window_ - bytes : 0, segment_);
    if (bytes >= segment_) window_ += segment_;
  }
  void leave_recovery(std::uint32_t in_flight) noexcept {
    window_ = std::min(threshold_, std::max(in_flight, segment_) + segment_);
    acknowledged_ = 0;
  }
  /// `first`: not a repetition for the same segment [RFC 5681 3.1, equation 4].
  void on_timeout(std::uint32_t in_flight, bool first) noexcept {
    if (first) threshold_ = std::max(in_flight / 2, 2 * segment_);
    window_ = segment_;
    acknowledged_ = 0;
  }
  std::uint32_t bytes() const noexcept { return window_; }
  std::uint32_t threshold() const noexcept { return threshold_; }

 private:
  static constexpr std::uint32_t kMax = 1u << 30;  // the largest window TCP can express [RFC 7323 2.3]
  std::uint32_t segment_ = 536;
  std::uint32_t window_ = 536;
  std::uint32_t threshold_ = kMax;
  std::uint32_t acknowledged_ = 0;
};

}  // namespace kernel::net::tcp
