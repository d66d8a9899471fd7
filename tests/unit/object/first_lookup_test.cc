// What many events ask the directory at once, of an object that their node has not met. A program of its own: it has a directory of
// its own.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/node/forwarding_directory.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::ObjectId;

constexpr std::size_t kCores = 3;
constexpr std::size_t kCallers = 100;  // on each core
constexpr int kAll = kCores * kCallers;

/// Answers look-ups only when told to, in the order in which they came.
class HeldDirectory final : public ebb::ForwardingDirectory {
 public:
  HeldDirectory() : ForwardingDirectory(ebb::make_memory_directory()) {}
  std::atomic<int> asked{0};
  std::atomic<int> answered{0};  ///< how many may be
  std::atomic<int> failing{0};   ///< how many of the next ones find nothing

  ebb::task<ebb::Result<ebb::ObjectRecord>> lookup(ObjectId id) override {
    const int mine = asked++;
    const bool fails = failing > 0 && failing-- > 0;
    while (mine >= answered) co_await ebb::sleep_for(std::chrono::microseconds(200));
    if (fails) co_return missing(id);
    co_return co_await store().lookup(id);
  }
};
HeldDirectory* directory = nullptr;

struct Plain {
  int get() const { return 7; }
  using interface = ebb::interface<"test.Plain/1", ebb::method<"get", &Plain::get>>;
};
struct Lodger {
  using policy = ebb::single_home;
  int get() const { return 8; }
  using interface = ebb::interface<"test.Lodger/1", ebb::method<"get", &Lodger::get>>;
};

/// An object that this node has not met.
template <class T>
ebb::task<ebb::ref<T>> unmet() {
  ebb::NewObject wanted{"", T::interface::id, "", ebb::kFrontEndNode};
  wanted.interface_name = T::interface::name;
  wanted.policy = ebb::policy_of<T>::name;
  const ebb::Result<ebb::ObjectRecord> record = co_await directory->create(std::move(wanted));
  co_return ebb::ref<T>::unchecked(record.value().id);
}

template <class T>
ebb::task<void> ask(ebb::ref<T> object, std::atomic<int>* waiting, std::atomic<int>* right) {
  ++*waiting;
  const auto answer = co_await object.template call<&T::get>();
  --*waiting;
  if (answer) ++*right;
}

template <class T>
ebb::task<void> ask_often(ebb::ref<T> object, std::atomic<int>* waiting, std::atomic<int>* right) {
  ebb::Scope scope;
  for (std::size_t caller = 0; caller < kCallers; ++caller) scope.spawn(ask<T>(object, waiting, right));
  co_await scope.join();
}

struct Outcome {
  int asked = 0;  ///< the directory
  int right = 0;  ///< answers
};

/// Asks from all cores while look-ups are held, the first `failing` of which find nothing.
template <class T>
ebb::task<Outcome> look_up(ebb::ref<T> object, int failing) {
  std::atomic<int> waiting{0};
  std::atomic<int> right{0};
  directory->failing = failing;
  directory->answered = 0;
  directory->asked = 0;
  std::vector<ebb::task<void>> cores;
  for (std::uint16_t core = 0; core < kCores; ++core) {
    auto work = [object, &waiting, &right] { return ask_often<T>(object, &waiting, &right); };
    cores.push_back(ebb::on_core(CoreIndex{core}, work));
  }
  auto release = [](std::atomic<int>* all) -> ebb::task<void> {
    while (*all < kAll) co_await ebb::sleep_for(std::chrono::microseconds(200));
    directory->answered = 1 << 20;
  };
  cores.push_back(release(&waiting));
  co_await ebb::when_all(std::move(cores));
  co_return Outcome{directory->asked, right};
}

int run(ebb::task<int> (*body)()) {
  if (directory == nullptr) {
    auto own = std::make_unique<HeldDirectory>();
    directory = own.get();
    ebb::NodeTable::instance().set_directory(std::move(own));
  }
  return ebb::run_cores(kCores, body);
}

ebb::task<int> together() {
  const auto plain = co_await unmet<Plain>();
  const Outcome touched = co_await look_up(plain, 0);
  EXPECT_EQ(touched.asked, 1);
  EXPECT_EQ(touched.right, kAll);
  const auto lodger = co_await unmet<Lodger>();
  const Outcome found = co_await look_up(lodger, 0);
  EXPECT_EQ(found.asked, 1);
  EXPECT_EQ(found.right, kAll);
  EXPECT_TRUE(co_await ebb::destroy(plain));
  EXPECT_TRUE(co_await ebb::destroy(lodger));
  co_return 0;
}

/// The first answer may be older than the object, so nobody but the one who asked for it takes it.
ebb::task<int> again() {
  const auto plain = co_await unmet<Plain>();
  const Outcome outcome = co_await look_up(plain, 1);
  EXPECT_EQ(outcome.asked, 2);
  EXPECT_EQ(outcome.right, kAll - 1);
  EXPECT_TRUE(co_await ebb::destroy(plain));
  co_return 0;
}

TEST(FirstLookup, IsSharedByAllWhoNeedIt) { EXPECT_EQ(run(together), 0); }
TEST(FirstLookup, IsMadeAgainForThoseWhoHeardFromAnOlderOneThatThereIsNothing) { EXPECT_EQ(run(again), 0); }

}  // namespace
