#include "src/messenger/ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace {

using ebb::messenger::RingPlace;

std::vector<const RingPlace*> in(const RingPlace& head) {
  std::vector<const RingPlace*> places;
  for (const RingPlace* place = head.next_in_ring(); place != &head && places.size() < 9; place = place->next_in_ring()) {
    places.push_back(place);
  }
  return places;
}

TEST(Ring, IsEnteredAtItsEndAndLeftAnywhere) {
  RingPlace head, first, second, third;
  for (RingPlace* place : {&first, &second, &third}) place->enter_ring(head);
  second.leave_ring();
  EXPECT_EQ(in(head), (std::vector<const RingPlace*>{&first, &third}));
  third.leave_ring();
  EXPECT_EQ(in(head), std::vector<const RingPlace*>{&first});
  second.leave_ring();  // it stands alone, and knows nobody any more
  EXPECT_EQ(in(head), std::vector<const RingPlace*>{&first});
  second.enter_ring(head);
  first.leave_ring();
  third.enter_ring(head);
  EXPECT_EQ(in(head), (std::vector<const RingPlace*>{&second, &third}));
}

TEST(Ring, OutlivesThoseInItAndIsOutlived) {
  auto head = std::make_unique<RingPlace>();
  RingPlace stays;
  {
    RingPlace goes;
    goes.enter_ring(*head);
    stays.enter_ring(*head);
  }
  EXPECT_EQ(in(*head), std::vector<const RingPlace*>{&stays});
  head.reset();
  EXPECT_TRUE(in(stays).empty());
}

}  // namespace
