// Neighbours' MAC addresses and the frames that wait for them [RFC 826]. Sends nothing itself: it says what to ask.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "kernel/net/config.h"
#include "kernel/net/wire/bytes.h"

namespace kernel::net {

/// Used by one stack. Bounded in entries and in frames that wait; see Config for what happens at the bounds.
class ArpCache {
 public:
  static constexpr Duration kRetryEvery = std::chrono::seconds(1);   ///< [RFC 1122 2.3.2.1] at most one a second
  static constexpr unsigned kMaxRequests = 3;                        ///< then the address is unreachable
  static constexpr Duration kRefreshAfter = std::chrono::seconds(60);  ///< asks again while still using the entry
  static constexpr Duration kForgetAfter = std::chrono::seconds(120);

  struct Lookup {
    const MacAddress* mac = nullptr;  ///< null: not known yet; valid until the next call
    bool ask = false;                 ///< send a request now
  };

  ArpCache(std::size_t max_entries, std::size_t max_pending) : max_entries_(max_entries), max_pending_(max_pending) {}

  /// Looks up a neighbour, starting a resolution where there is none.
  Lookup find(std::uint32_t address, Instant now);
  /// Keeps a frame (Ethernet header included) for an address that find() did not know. False: an older one was
  /// dropped for it.
  bool hold(std::uint32_t address, const OutgoingFrame& frame);
  /// Takes what an ARP packet says; returns the frames that waited. `create` is false for what we did not ask for.
  std::deque<std::vector<std::byte>> learn(std::uint32_t address, const MacAddress& mac, bool create, Instant now);

  struct Due {
    std::vector<std::uint32_t> ask;     ///< send a request for these
    std::vector<std::uint32_t> failed;  ///< nobody answers for these
    std::size_t dropped_frames = 0;
  };
  Due advance(Instant now);
  Instant next_deadline() const noexcept { return deadline_; }
  void clear() { entries_.clear(); deadline_ = ebb::platform::kNever; }
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::uint32_t address = 0;
    MacAddress mac{};
    bool resolved = false;
    unsigned requests = 0;
    Instant learned{};
    Instant asked{};
    Instant used{};
    std::deque<std::vector<std::byte>> pending;
  };
  Entry* lookup(std::uint32_t address) noexcept;
  Entry& add(std::uint32_t address, Instant now);

  std::size_t max_entries_;
  std::size_t max_pending_;
  std::size_t hint_ = 0;  // where the last lookup ended: most frames go to the neighbour of the frame before
  std::vector<Entry> entries_;
  Instant deadline_ = ebb::platform::kNever;
};

}  // namespace kernel::net
