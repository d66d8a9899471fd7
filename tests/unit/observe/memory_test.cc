// What observes calls needs memory that there may be none of: then it sees less, and nobody is the worse for it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "ebb/async/on_core.h"
#include "ebb/async/runtime.h"
#include "ebb/observe.h"
#include "src/observe/recorder.h"

namespace {
thread_local bool no_memory = false;
}

// For the whole program: a thread can run out of memory at a chosen place.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return no_memory ? nullptr : std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return operator new(size, std::nothrow); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace ebb::detail {
namespace {

TEST(WithoutMemory, SpansAreLostAndCountAsLost) {
  SpanRing ring(4);
  EndedSpan span;
  no_memory = true;
  for (int i = 0; i < 3; ++i) ring.push(span);
  no_memory = false;
  EXPECT_EQ(ring.size(), 0u);
  EXPECT_EQ(ring.first(), 3u);
  EXPECT_TRUE(ring.read(10).empty());
  span.span = 7;
  ring.push(span);
  EXPECT_EQ(ring.first(), 3u);
  ASSERT_EQ(ring.read(10).size(), 1u);
  EXPECT_EQ(ring.read(10)[0].span, 7u);
}

std::uint64_t calls_of(const MethodTable& table) {
  std::uint64_t calls = 0;
  table.for_each([&calls](const MethodHistogram& each) { calls += each.calls; });
  return calls;
}

TEST(WithoutMemory, CallsAreCountedNowhere) {
  MethodTable table;
  no_memory = true;
  table.add({1, "test.T/1", "m"}, 1, false);
  no_memory = false;
  EXPECT_EQ(calls_of(table), 0u);
  table.add({1, "test.T/1", "m"}, 1, false);
  EXPECT_EQ(calls_of(table), 1u);
}

/// On a core that has recorded nothing yet: the cores of one run find what those of another had.
void record_without_memory() {
  const MethodLabel label{1, "test.T/1", "m"};
  no_memory = true;
  CallMeter meter(true, begin_trace());
  meter.end(label, {}, kNoNode, Errc::ok);
  OpenSpan span({1, 2, 3, true});
  span.end(SpanKind::inside, label, {}, kNoNode, Errc::ok);
  EXPECT_EQ(CoreRecorder::own(), nullptr);
  no_memory = false;
  EXPECT_NE(CoreRecorder::own(), nullptr);
}

TEST(WithoutMemory, ACoreGoesOnAndRecordsNothing) {
  EXPECT_EQ(run_cores(3, []() -> task<int> {
    co_await on_core(CoreIndex{2}, &record_without_memory);
    co_return 0;
  }), 0);
}

}  // namespace
}  // namespace ebb::detail
