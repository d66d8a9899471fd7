// The calls of a peer that this side works on: where a cancellation finds them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ebb/async/cancellation.h"

namespace ebb::messenger {

/// One of them; lives in the frame of whoever carries it out.
struct ServedCall {
  ServedCall(std::uint32_t id, bool is_one_way) noexcept : call_id(id), one_way(is_one_way) {}
  ServedCall(const ServedCall&) = delete;
  ServedCall& operator=(const ServedCall&) = delete;
  const std::uint32_t call_id;
  const bool one_way;     // has no id, so no caller can name it
  bool given_up = false;  // its caller has said so
  cancel_source cancellation;
  ServedCall* previous = nullptr;
  ServedCall* next = nullptr;
};

/// One core only. A peer that uses an id for two calls at a time cancels the later one.
class ServedCalls {
 public:
  void add(ServedCall& call) noexcept {
    ServedCall*& first = bucket(call);
    call.next = first;
    if (first != nullptr) first->previous = &call;
    first = &call;
  }
  void remove(ServedCall& call) noexcept {
    (call.previous != nullptr ? call.previous->next : bucket(call)) = call.next;
    if (call.next != nullptr) call.next->previous = call.previous;
    call.previous = call.next = nullptr;
  }
  /// Its caller has given it up.
  void cancel(std::uint32_t call_id) {
    for (ServedCall* call = buckets_[call_id % kBuckets]; call != nullptr; call = call->next) {
      if (call->call_id != call_id) continue;
      call->given_up = true;
      return call->cancellation.cancel();
    }
  }
  /// Nobody waits for any of them. Callbacks resume their coroutines later, so no call ends meanwhile.
  void cancel_all() {
    for (ServedCall* first : buckets_) {
      for (ServedCall* call = first; call != nullptr; call = call->next) call->cancellation.cancel();
    }
  }

 private:
  static constexpr std::size_t kBuckets = 128;
  ServedCall*& bucket(const ServedCall& call) noexcept { return buckets_[call.one_way ? kBuckets : call.call_id % kBuckets]; }
  std::array<ServedCall*, kBuckets + 1> buckets_{};  // the last: of one-way calls
};

}  // namespace ebb::messenger
