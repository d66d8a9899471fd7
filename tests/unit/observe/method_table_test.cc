#include "src/observe/method_table.h"

#include <gtest/gtest.h>

#include <map>

namespace {

using namespace ebb::detail;

TEST(MethodTable, KeepsMethodsWhoseIdsMeetInATableApart) {
  MethodTable table;
  // The same place in the table, for any size below 2^20.
  for (std::uint64_t i = 0; i < 3; ++i) {
    for (std::uint64_t call = 0; call <= i; ++call) table.add({7 + (i << 20), "test.T/1", "m"}, 10 * (i + 1), call == 0);
  }
  std::map<std::uint64_t, MethodHistogram> found;
  table.for_each([&found](const MethodHistogram& each) { found[each.label.id] = each; });
  ASSERT_EQ(found.size(), 3u);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const MethodHistogram& each = found[7 + (i << 20)];
    EXPECT_EQ(each.calls, i + 1);
    EXPECT_EQ(each.errors, 1u);
    EXPECT_EQ(each.maximum_ns, 10 * (i + 1));
    EXPECT_EQ(each.total_ns, 10 * (i + 1) * (i + 1));
    EXPECT_EQ(each.buckets[HistogramBuckets::index(10 * (i + 1))], i + 1);
  }
}

TEST(MethodTable, CountsMethodsBeyondItsBoundTogether) {
  MethodTable table;
  for (std::uint64_t id = 1; id <= kMethodsPerCore + 5; ++id) table.add({id, "test.T/1", "m"}, 1, false);
  table.add({1, "test.T/1", "m"}, 1, false);
  std::size_t methods = 0;
  std::uint64_t calls = 0;
  table.for_each([&](const MethodHistogram& each) {
    ++methods;
    calls += each.calls;
    EXPECT_EQ(each.calls, each.label.id == kOtherMethods.id ? 5u : each.label.id == 1 ? 2u : 1u);
  });
  EXPECT_EQ(methods, kMethodsPerCore + 1);
  EXPECT_EQ(calls, kMethodsPerCore + 6);
}

}  // namespace
