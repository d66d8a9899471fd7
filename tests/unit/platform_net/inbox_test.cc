// Frames between cores: nothing is lost below the bound, nothing kept above it.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "kernel/platform/network_inbox.h"

namespace kernel::platform {
namespace {

std::unique_ptr<FrameMessage> message(std::size_t number) {
  auto made = std::make_unique<FrameMessage>();
  made->header_bytes = number;
  return made;
}

TEST(NetworkInbox, GivesMessagesInOrderAndSaysWhichOneMustWake) {
  NetworkInbox inbox;
  EXPECT_TRUE(inbox.empty());
  EXPECT_EQ(inbox.put(message(1)), NetworkInbox::Put::first);
  EXPECT_EQ(inbox.put(message(2)), NetworkInbox::Put::more);
  const auto taken = inbox.take();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0]->header_bytes, 1u);
  EXPECT_EQ(taken[1]->header_bytes, 2u);
  EXPECT_TRUE(inbox.take().empty());
  EXPECT_EQ(inbox.put(message(3)), NetworkInbox::Put::first);
}

TEST(NetworkInbox, RefusesMoreThanItsBoundAndRecovers) {
  NetworkInbox inbox;
  for (std::size_t i = 0; i < NetworkInbox::kMaxMessages; ++i) EXPECT_NE(inbox.put(message(i)), NetworkInbox::Put::full);
  EXPECT_EQ(inbox.put(message(0)), NetworkInbox::Put::full);
  EXPECT_EQ(inbox.take().size(), NetworkInbox::kMaxMessages);
  EXPECT_EQ(inbox.put(message(0)), NetworkInbox::Put::first);
}

TEST(NetworkInbox, RefusesMoreBytesThanItsBoundAndRecovers) {
  NetworkInbox inbox;
  const auto large = [] {
    auto made = message(0);
    made->bytes.resize(NetworkInbox::kMaxBytes / 4);
    return made;
  };
  for (int i = 0; i < 4; ++i) EXPECT_NE(inbox.put(large()), NetworkInbox::Put::full);
  EXPECT_EQ(inbox.put(large()), NetworkInbox::Put::full);
  EXPECT_EQ(inbox.put(message(1)), NetworkInbox::Put::more) << "a small one still fits";
  EXPECT_EQ(inbox.take().size(), 5u);
  EXPECT_EQ(inbox.put(large()), NetworkInbox::Put::first);
}

TEST(NetworkInbox, LosesNothingOfSeveralSenders) {
  constexpr std::size_t kEach = 20'000;
  constexpr std::size_t kSenders = 3;
  NetworkInbox inbox;
  std::vector<std::thread> senders;
  for (std::size_t sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&inbox, sender] {
      for (std::size_t i = 0; i < kEach; ++i) {
        while (inbox.put(message(sender * kEach + i)) == NetworkInbox::Put::full) std::this_thread::yield();
      }
    });
  }
  std::vector<std::size_t> next(kSenders, 0);
  for (std::size_t count = 0; count < kSenders * kEach;) {
    for (const auto& taken : inbox.take()) {
      const std::size_t sender = taken->header_bytes / kEach;
      ASSERT_EQ(taken->header_bytes % kEach, next[sender]) << "out of order";
      ++next[sender];
      ++count;
    }
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_TRUE(inbox.empty());
}

}  // namespace
}  // namespace kernel::platform
