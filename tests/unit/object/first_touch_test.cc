// Cores that touch the same new objects for the first time at once: one root a node, one representative a core.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"

namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRuns = 5;  // an order of magnitude slower; the full count runs without sanitizers
#elif defined(EBB_EMULATED)
constexpr int kRuns = 25;  // slower as well
#else
constexpr int kRuns = 100;
#endif
constexpr std::size_t kObjects = 20'000;
constexpr std::size_t kDestroyedAtOnce = 256;

std::atomic<std::size_t> roots{0};
std::atomic<std::size_t> representatives{0};

struct Touched {
  struct root {
    std::atomic<std::uint32_t> cores{0};
    root() { roots.fetch_add(1, std::memory_order_relaxed); }
  };
  explicit Touched(root& node) : root_(node) {
    representatives.fetch_add(1, std::memory_order_relaxed);
    node.cores.fetch_add(1, std::memory_order_relaxed);
  }
  std::uint32_t cores() const { return root_.cores.load(std::memory_order_relaxed); }
  root& root_;
  using interface = ebb::interface<"test.Touched/1", ebb::method<"cores", &Touched::cores>>;
};

using Objects = std::vector<ebb::ref<Touched>>;

// Waits until all cores are here, so that they start at the same moment.
void touch_all(const Objects& objects, std::atomic<std::size_t>& arrived) {
  arrived.fetch_add(1);
  while (arrived.load() < ebb::Core::count()) std::this_thread::yield();
  for (const auto& object : objects) static_cast<void>(object->cores());
}

ebb::task<void> touch_on(ebb::CoreIndex core, const Objects* objects, std::atomic<std::size_t>* arrived) {
  co_await ebb::on_core(core, [objects, arrived] { touch_all(*objects, *arrived); });
}

ebb::task<int> one_run() {
  const std::size_t cores = ebb::Core::count();
  roots = 0;
  representatives = 0;
  Objects objects;
  for (std::size_t index = 0; index < kObjects; ++index) {
    objects.push_back((co_await ebb::create<Touched>()).value());
    // Code instrumented by a sanitizer does not turn one coroutine's end into a jump to the next: unwind the stack often.
    if (index % 16 == 0) co_await ebb::yield();
  }
  std::atomic<std::size_t> arrived{0};
  std::vector<ebb::task<void>> touches;
  for (std::uint16_t core = 0; core < cores; ++core) {
    touches.push_back(touch_on(ebb::CoreIndex(core), &objects, &arrived));
  }
  co_await ebb::when_all(std::move(touches));
  int wrong = roots == kObjects && representatives == kObjects * cores ? 0 : 1;
  for (const auto& object : objects) wrong += object->cores() == cores ? 0 : 1;
  EXPECT_EQ(wrong, 0) << roots << " roots, " << representatives << " representatives";
  std::vector<ebb::task<ebb::Result<void>>> endings;
  for (const auto& object : objects) {
    endings.push_back(ebb::destroy(object));
    if (endings.size() < kDestroyedAtOnce && object != objects.back()) continue;
    for (const auto& ended : co_await ebb::when_all(std::exchange(endings, {}))) EXPECT_TRUE(ended);
  }
  co_return wrong;
}

ebb::task<int> runs(int count) {
  for (int run = 0; run < count; ++run) {
    if (co_await one_run() != 0) co_return 1;
  }
  co_return 0;
}

TEST(FirstTouch, OfTwoCoresMakesOneRootAndARepresentativeEach) {
  EXPECT_EQ(ebb::run_cores(2, [] { return runs(kRuns); }), 0);
}

// More cores than most test machines have: they interleave at the scheduler's will.
TEST(FirstTouch, OfFourCoresMakesOneRootAndARepresentativeEach) {
  EXPECT_EQ(ebb::run_cores(4, [] { return runs(std::max(1, kRuns / 20)); }), 0);
}

}  // namespace
