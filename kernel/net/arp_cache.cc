// See arp_cache.h.
#include "kernel/net/arp_cache.h"

#include <algorithm>
#include <utility>

#include "kernel/net/wire/checksum.h"

namespace kernel::net {

ArpCache::Entry* ArpCache::lookup(std::uint32_t address) noexcept {
  if (hint_ < entries_.size() && entries_[hint_].address == address) return &entries_[hint_];
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].address == address) {
      hint_ = i;
      return &entries_[i];
    }
  }
  return nullptr;
}

ArpCache::Entry& ArpCache::add(std::uint32_t address, Instant now) {
  if (entries_.size() >= max_entries_) {
    auto oldest = std::min_element(entries_.begin(), entries_.end(),
                                   [](const Entry& a, const Entry& b) { return a.used < b.used; });
    *oldest = Entry{};
    hint_ = static_cast<std::size_t>(oldest - entries_.begin());
  } else {
    hint_ = entries_.size();
    entries_.emplace_back();
  }
  Entry& entry = entries_[hint_];
  entry.address = address;
  entry.used = now;
  return entry;
}

ArpCache::Lookup ArpCache::find(std::uint32_t address, Instant now) {
  Entry* entry = lookup(address);
  if (entry != nullptr) entry->used = now;
  if (entry != nullptr && entry->resolved && now - entry->learned < kForgetAfter) {
    const bool ask = now - entry->learned >= kRefreshAfter && now - entry->asked >= kRetryEvery;
    if (ask) entry->asked = now;
    return {&entry->mac, ask};
  }
  if (entry == nullptr) entry = &add(address, now);
  entry->resolved = false;
  const bool ask = entry->requests == 0;  // advance() repeats it
  if (ask) {
    entry->requests = 1;
    entry->asked = now;
    deadline_ = std::min(deadline_, now + kRetryEvery);
  }
  return {nullptr, ask};
}

bool ArpCache::hold(std::uint32_t address, const OutgoingFrame& frame) {
  Entry* entry = lookup(address);
  if (entry == nullptr || max_pending_ == 0) return false;
  const bool full = entry->pending.size() >= max_pending_;
  if (full) entry->pending.pop_front();
  std::vector<std::byte> copy;
  copy.reserve(frame.size_bytes());
  copy.insert(copy.end(), frame.headers.begin(), frame.headers.end());
  for (const auto& piece : frame.payload) copy.insert(copy.end(), piece.begin(), piece.end());
  if (frame.partial_checksum) {  // it will go out without the link's help
    wire::Checksum sum;
    sum.add(std::span(copy).subspan(frame.checksum_start));
    wire::write(std::span(copy).subspan(std::size_t{frame.checksum_start} + frame.checksum_offset), wire::U16(sum.value()));
  }
  entry->pending.push_back(std::move(copy));
  return !full;
}

std::deque<std::vector<std::byte>> ArpCache::learn(std::uint32_t address, const MacAddress& mac, bool create,
                                                   Instant now) {
  Entry* entry = lookup(address);
  if (entry == nullptr) {
    if (!create) return {};
    entry = &add(address, now);
  }
  entry->mac = mac;
  entry->resolved = true;
  entry->requests = 0;
  entry->learned = now;
  return std::exchange(entry->pending, {});
}

ArpCache::Due ArpCache::advance(Instant now) {
  Due due;
  if (now < deadline_) return due;
  deadline_ = ebb::platform::kNever;
  for (Entry& entry : entries_) {
    if (entry.resolved || entry.requests == 0) continue;
    if (now - entry.asked >= kRetryEvery) {
      if (entry.requests >= kMaxRequests) {
        due.failed.push_back(entry.address);
        due.dropped_frames += entry.pending.size();
        entry.address = 0;
        continue;
      }
      ++entry.requests;
      entry.asked = now;
      due.ask.push_back(entry.address);
    }
    deadline_ = std::min(deadline_, entry.asked + kRetryEvery);
  }
  std::erase_if(entries_, [](const Entry& entry) { return entry.address == 0; });
  return due;
}

}  // namespace kernel::net
