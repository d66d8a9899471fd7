#include "src/messenger/room.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "ebb/async.h"

namespace {

using namespace ebb;
using messenger::Room;

struct Sender {
  int name;
  std::size_t bytes;
  Room::Waiter* waiter = nullptr;
  std::optional<bool> granted{};
};

task<void> send(Room* room, Sender* sender, std::vector<int>* order) {
  Room::Waiter waiter(*room, sender->bytes);
  sender->waiter = &waiter;
  sender->granted = co_await waiter;
  order->push_back(sender->name);
}

template <class Test>
void run(Test test) {
  EXPECT_EQ(run_cores(1, test), 0);
}

TEST(Room, TakesOneMessageBeyondItsLimitAndThenMakesSendersWaitInOrder) {
  run([]() -> task<int> {
    Room room(100);
    EXPECT_TRUE(room.try_take(99));
    EXPECT_TRUE(room.try_take(1000));
    EXPECT_FALSE(room.try_take(1));
    std::vector<int> order;
    Sender first{1, 60}, second{2, 60}, third{3, 60};
    Scope scope;
    for (Sender* sender : {&first, &second, &third}) scope.spawn(send(&room, sender, &order));
    co_await yield();
    co_await yield();
    EXPECT_TRUE(order.empty());
    room.give_back(1099);
    EXPECT_EQ(room.taken(), 120u) << "the first two; the third must wait for them";
    EXPECT_FALSE(room.try_take(1)) << "nobody overtakes one who waits";
    room.give_back(60);
    co_await scope.join();
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
    EXPECT_EQ(room.taken(), 120u);
    co_return 0;
  });
}

TEST(Room, LetsNobodyOvertakeOneWhoHasRoomAndIsYetToRun) {
  run([]() -> task<int> {
    Room room(100);
    room.take(100);
    std::vector<int> order;
    Sender first{1, 10}, second{2, 10};
    Scope scope;
    scope.spawn(send(&room, &first, &order));
    co_await yield();
    co_await yield();
    room.give_back(100);
    // `first` goes on with the next turn of the loop.
    EXPECT_FALSE(room.try_take(10));
    Room::Waiter now(room, 10);
    EXPECT_FALSE(now.await_ready());
    scope.spawn(send(&room, &second, &order));
    co_await scope.join();
    EXPECT_EQ(order, (std::vector{1, 2}));
    EXPECT_EQ(room.taken(), 20u);
    EXPECT_TRUE(room.try_take(10)) << "nobody is on its way any more";
    co_return 0;
  });
}

TEST(Room, LetsOneWhoGivesUpGoWithoutRoom) {
  run([]() -> task<int> {
    Room room(10);
    room.take(10);
    std::vector<int> order;
    Sender first{1, 5}, second{2, 5};
    Scope scope;
    for (Sender* sender : {&first, &second}) scope.spawn(send(&room, sender, &order));
    co_await yield();
    co_await yield();
    first.waiter->give_up();
    room.give_back(10);
    co_await scope.join();
    EXPECT_EQ(first.granted, false);
    EXPECT_EQ(second.granted, true);
    EXPECT_EQ(room.taken(), 5u);
    co_return 0;
  });
}

TEST(Room, HoldsNobodyOnceDismissed) {
  run([]() -> task<int> {
    Room room(10);
    room.take(10);
    std::vector<int> order;
    Sender before{1, 5}, after{2, 5};
    Scope scope;
    scope.spawn(send(&room, &before, &order));
    co_await yield();
    co_await yield();
    room.dismiss();
    scope.spawn(send(&room, &after, &order));
    co_await scope.join();
    EXPECT_EQ(before.granted, false);
    EXPECT_EQ(after.granted, false);
    co_return 0;
  });
}

}  // namespace
