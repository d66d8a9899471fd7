#include "kernel/platform/network_inbox.h"

#include <algorithm>

namespace kernel::platform {

NetworkInbox::~NetworkInbox() { take(); }

NetworkInbox::Put NetworkInbox::put(std::unique_ptr<FrameMessage> message) {
  // The counts only bound; they order nothing.
  const std::size_t bytes = message->bytes.size();
  const bool too_many = count_.fetch_add(1, std::memory_order_relaxed) >= kMaxMessages;
  const bool too_much = bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > kMaxBytes;
  if (too_many || too_much) {
    count_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return Put::full;
  }
  FrameMessage* const made = message.release();
  FrameMessage* head = head_.load(std::memory_order_relaxed);
  do {
    made->next = head;
    // Release: whoever takes the list sees the message. Sequentially consistent with empty(), so that a core about to
    // sleep sees it or is woken.
  } while (!head_.compare_exchange_weak(head, made, std::memory_order_seq_cst, std::memory_order_relaxed));
  return head == nullptr ? Put::first : Put::more;
}

std::vector<std::unique_ptr<FrameMessage>> NetworkInbox::take() {
  std::vector<std::unique_ptr<FrameMessage>> messages;
  if (head_.load(std::memory_order_relaxed) == nullptr) return messages;
  std::size_t bytes = 0;
  for (FrameMessage* message = head_.exchange(nullptr, std::memory_order_acquire); message != nullptr;) {
    FrameMessage* const next = message->next;
    bytes += message->bytes.size();
    messages.emplace_back(message);
    message = next;
  }
  count_.fetch_sub(messages.size(), std::memory_order_relaxed);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  std::reverse(messages.begin(), messages.end());
  return messages;
}

}  // namespace kernel::platform
