#include "src/messenger/served_calls.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace {

using ebb::messenger::ServedCall;
using ebb::messenger::ServedCalls;
using Calls = std::vector<std::unique_ptr<ServedCall>>;

/// With the ids from 1 on, under way in `served`.
Calls begin(ServedCalls& served, std::uint32_t count, bool one_way = false) {
  Calls calls;
  for (std::uint32_t id = 1; id <= count; ++id) {
    calls.push_back(std::make_unique<ServedCall>(id, one_way));
    served.add(*calls.back());
  }
  return calls;
}

std::vector<std::uint32_t> given_up(const Calls& calls) {
  std::vector<std::uint32_t> ids;
  for (const auto& call : calls) {
    EXPECT_TRUE(!call->given_up || call->cancellation.is_cancelled());
    if (call->given_up) ids.push_back(call->call_id);
  }
  return ids;
}

/// Few, about as many as are spread, and many.
class ServedCallsOf : public testing::TestWithParam<std::uint32_t> {};

TEST_P(ServedCallsOf, AreFoundByTheirIds) {
  ServedCalls served;
  const Calls calls = begin(served, GetParam());
  std::vector<std::uint32_t> expected;
  for (std::uint32_t id = 1; id <= GetParam(); id += 2) {
    served.cancel(id);
    expected.push_back(id);
    ASSERT_EQ(given_up(calls), expected);
  }
  served.cancel(GetParam() + 1);
  EXPECT_EQ(given_up(calls), expected);
}

TEST_P(ServedCallsOf, AreNotFoundOnceTheyHaveEnded) {
  ServedCalls served;
  const Calls calls = begin(served, GetParam());
  for (const auto& call : calls) {
    if (call->call_id % 3 != 0) served.remove(*call);
  }
  std::vector<std::uint32_t> expected;
  for (std::uint32_t id = 1; id <= GetParam(); ++id) {
    served.cancel(id);
    if (id % 3 == 0) expected.push_back(id);
  }
  EXPECT_EQ(given_up(calls), expected);
}

TEST_P(ServedCallsOf, OneWayHaveNoIdAndEndWithAll) {
  ServedCalls served;
  const Calls named = begin(served, GetParam());
  const Calls one_way = begin(served, GetParam(), true);
  served.cancel(GetParam());
  EXPECT_EQ(given_up(named), std::vector<std::uint32_t>{GetParam()});
  EXPECT_TRUE(given_up(one_way).empty());
  served.remove(*one_way.front());
  served.cancel_all();
  for (const auto& call : named) EXPECT_TRUE(call->cancellation.is_cancelled()) << call->call_id;
  for (const auto& call : one_way) EXPECT_EQ(call->cancellation.is_cancelled(), call != one_way.front()) << call->call_id;
}

INSTANTIATE_TEST_SUITE_P(Counts, ServedCallsOf, testing::Values(1, 3, 16, 17, 18, 1000));

}  // namespace
