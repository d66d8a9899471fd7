// The split queue against a device that keeps, and does not keep, the rules.
#include "kernel/virtio/virtqueue.h"

#include <gtest/gtest.h>

#include "tests/unit/virtio/fake_net_device.h"

namespace kernel::virtio {
namespace {

using virtio_test::DeviceQueue;

struct VirtqueueTest : testing::Test {
  Virtqueue queue = *Virtqueue::create(8, virtio_test::allocate_pages);
  DeviceQueue device{queue.addresses(), std::nullopt, 0, 0};
};

TEST(Virtqueue, TakesThePowerOfTwoBelowTheOfferAndItsBound) {
  EXPECT_EQ(Virtqueue::create(100, virtio_test::allocate_pages)->size(), 64);
  EXPECT_EQ(Virtqueue::create(1024, virtio_test::allocate_pages)->size(), Virtqueue::kMaxSize);
  EXPECT_EQ(Virtqueue::create(0, virtio_test::allocate_pages).code(), ebb::Errc::malformed);
  EXPECT_EQ(Virtqueue::create(8, [](std::size_t) -> void* { return nullptr; }).code(), ebb::Errc::resource_exhausted);
}

TEST_F(VirtqueueTest, CarriesBuffersBothWaysAcrossTheWrapOfItsIndexes) {
  for (unsigned round = 0; round < 100'000; ++round) {
    const auto head = static_cast<std::uint16_t>(round * 3 % 8);
    queue.publish(head);
    ASSERT_TRUE(device.has_buffer());
    ASSERT_EQ(device.take(), head);
    ASSERT_FALSE(queue.take_used());
    device.fill_used(head, round);
    device.show_used();
    ASSERT_EQ(queue.used_waiting(), 1);
    const auto used = queue.take_used();
    ASSERT_TRUE(used);
    ASSERT_EQ(used->head, head);
    ASSERT_EQ(used->length, round);
  }
  EXPECT_FALSE(queue.broken());
}

TEST_F(VirtqueueTest, BreaksAtAHeadThatTheDeviceDoesNotHave) {
  queue.publish(3);
  device.fill_used(4, 0);
  device.show_used();
  EXPECT_FALSE(queue.take_used());
  EXPECT_TRUE(queue.broken());
  EXPECT_EQ(queue.used_waiting(), 0);
  EXPECT_FALSE(queue.wants_notification());
}

TEST_F(VirtqueueTest, BreaksAtAHeadOutsideTheQueue) {
  queue.publish(3);
  device.fill_used(0x1'0003, 0);
  device.show_used();
  EXPECT_FALSE(queue.take_used());
  EXPECT_TRUE(queue.broken());
}

TEST_F(VirtqueueTest, BreaksWhenAHeadComesBackTwice) {
  queue.publish(3);
  device.fill_used(3, 0);
  device.fill_used(3, 0);
  device.show_used();
  EXPECT_TRUE(queue.take_used());
  EXPECT_FALSE(queue.take_used());
  EXPECT_TRUE(queue.broken());
}

TEST_F(VirtqueueTest, SurvivesAnIndexThatJumps) {
  queue.publish(0);
  device.used = 5000;
  device.show_used();
  EXPECT_LE(queue.used_waiting(), queue.size());
  while (queue.take_used()) {
  }
  EXPECT_TRUE(queue.broken());
}

TEST_F(VirtqueueTest, HeedsAndAsksForSilence) {
  EXPECT_EQ(device.available_flags(), kAvailableNoInterrupt) << "interrupts come only when asked for";
  queue.want_interrupts(true);
  EXPECT_EQ(device.available_flags(), 0);
  EXPECT_TRUE(queue.wants_notification());
  device.set_no_notify(true);
  EXPECT_FALSE(queue.wants_notification());
}

}  // namespace
}  // namespace kernel::virtio
