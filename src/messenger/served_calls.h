// The calls of a peer that this side works on: where a cancellation finds them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

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

/// One core only. A peer that uses an id for two calls at a time cancels the later one. Small until many are under way, for most
/// of a large cluster's connections carry few.
class ServedCalls {
 public:
  void add(ServedCall& call) noexcept {
    if (++count_ > kFew * kFull && !many_) spread();
    enter(call);
  }
  void remove(ServedCall& call) noexcept {
    --count_;
    (call.previous != nullptr ? call.previous->next : list_of(call)) = call.next;
    if (call.next != nullptr) call.next->previous = call.previous;
    call.previous = call.next = nullptr;
  }
  /// Its caller has given it up.
  void cancel(std::uint32_t call_id) {
    const std::span<ServedCall*> all = buckets();
    for (ServedCall* call = all[call_id % all.size()]; call != nullptr; call = call->next) {
      if (call->call_id != call_id) continue;
      call->given_up = true;
      return call->cancellation.cancel();
    }
  }
  /// Nobody waits for any of them. Callbacks resume their coroutines later, so no call ends meanwhile.
  void cancel_all() {
    for (ServedCall* first : buckets()) cancel_from(first);
    cancel_from(one_way_);
  }

 private:
  static constexpr std::size_t kFew = 4;
  static constexpr std::size_t kMany = 128;
  static constexpr std::size_t kFull = 4;  // calls in each of the few
  using Many = std::array<ServedCall*, kMany>;

  static void cancel_from(ServedCall* first) {
    for (ServedCall* call = first; call != nullptr; call = call->next) call->cancellation.cancel();
  }
  std::span<ServedCall*> buckets() noexcept { return many_ ? std::span<ServedCall*>(*many_) : std::span<ServedCall*>(few_); }
  ServedCall*& list_of(const ServedCall& call) noexcept {
    const std::span<ServedCall*> all = buckets();
    return call.one_way ? one_way_ : all[call.call_id % all.size()];
  }
  void enter(ServedCall& call) noexcept {
    ServedCall*& first = list_of(call);
    call.next = first;
    if (first != nullptr) first->previous = &call;
    first = &call;
  }
  /// Into many buckets. Without memory for them calls are found more slowly.
  void spread() noexcept {
    many_.reset(new (std::nothrow) Many{});
    if (!many_) return;
    for (ServedCall* call : few_) {
      while (call != nullptr) {
        ServedCall* const next = call->next;
        call->previous = nullptr;
        enter(*call);
        call = next;
      }
    }
  }

  std::array<ServedCall*, kFew> few_{};
  std::unique_ptr<Many> many_;
  ServedCall* one_way_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace ebb::messenger
