// A home whose move failed, and which does not hear what the directory made of that; and a call that finds no directory. A program
// of its own: it has a directory of its own.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/node/forwarding_directory.h"
#include "src/object/home_service.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::kFrontEndNode;
using ebb::detail::HomeService;
using namespace std::chrono_literals;

std::atomic<int> alive{0};

struct Purse {
  using policy = ebb::single_home;
  Purse() { ++alive; }
  ~Purse() { --alive; }
  std::int64_t sum = 0;
  std::int64_t add(std::int64_t amount) { return sum += amount; }
  std::int64_t save() const { return sum; }
  void restore(std::int64_t state) { sum = state; }
  using interface = ebb::interface<"test.Purse/1", ebb::method<"add", &Purse::add>>;
};

/// Does as it is told, and does not answer so many times, or is not reached with the question.
class LosingDirectory final : public ebb::ForwardingDirectory {
 public:
  LosingDirectory() : ForwardingDirectory(ebb::make_memory_directory()) {}
  int losses = 0;
  int unreachable = 0;
  ebb::task<ebb::Result<ebb::ObjectRecord>> lookup(ebb::ObjectId id) override {
    if (unreachable == 0) co_return co_await store().lookup(id);
    --unreachable;
    co_return ebb::Error::refusal(Errc::node_gone, "cannot connect to node 0; nothing ran");
  }
  ebb::task<ebb::Result<ebb::ObjectRecord>> re_home(ebb::ObjectId id, std::uint32_t epoch, ebb::NodeId node, CoreIndex core) override {
    auto told = co_await store().re_home(id, epoch, node, core);
    if (losses == 0) co_return told;
    --losses;
    co_return ebb::Error(Errc::node_gone, "the answer is lost");
  }
};
LosingDirectory* directory = nullptr;

/// A purse with 40 in it, whose home has given its state to a move that went no further.
ebb::task<ebb::ref<Purse>> given_purse() {
  const auto purse = (co_await ebb::create<Purse>()).value();
  EXPECT_EQ((co_await purse.call<&Purse::add>(40)).value(), 40);
  const auto service = ebb::detail::kHomeService.on(kFrontEndNode, CoreIndex{0});
  EXPECT_TRUE(co_await service.call<&HomeService::give>(purse.id(), 1));
  directory->losses = 1;
  EXPECT_FALSE(co_await service.call<&HomeService::keep>(purse.id(), 1)) << "it cannot know what the directory did";
  co_return purse;
}

ebb::task<void> check_and_end(ebb::ref<Purse> purse) {
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 41) << "the only state was thrown away";
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0);
}

ebb::task<int> kept() {
  const auto purse = co_await given_purse();
  const auto service = ebb::detail::kHomeService.on(kFrontEndNode, CoreIndex{0});
  EXPECT_TRUE(co_await service.call<&HomeService::keep>(purse.id(), 1));
  co_await check_and_end(purse);
  co_return 0;
}

/// What an earlier move asks for late must not take the home's new epoch for another's.
ebb::task<int> forgotten() {
  const auto purse = co_await given_purse();
  const auto service = ebb::detail::kHomeService.on(kFrontEndNode, CoreIndex{0});
  EXPECT_EQ((co_await service.call<&HomeService::forget>(purse.id())).code(), Errc::moved);
  EXPECT_TRUE(co_await service.call<&HomeService::keep>(purse.id(), 1));
  co_await check_and_end(purse);
  co_return 0;
}

/// A call whose home cannot be looked up at the moment has not begun.
ebb::task<int> asked_again() {
  ebb::test::FakeLink link;
  const auto purse = (co_await ebb::create<Purse>()).value();
  ebb::NodeTable::instance().learn_home(purse.id(), {ebb::test::kOther, CoreIndex{0}, 9});
  link.answers.push_back(ebb::Error::refusal(Errc::moved, "not here"));
  directory->unreachable = 2;
  EXPECT_EQ((co_await purse.on_home().call<&Purse::add>(40)).value(), 40);
  EXPECT_EQ(directory->unreachable, 0);
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

int run(ebb::task<int> (*body)()) {
  ebb::NodeTable& table = ebb::NodeTable::instance();
  if (directory == nullptr) {
    auto own = std::make_unique<LosingDirectory>();
    directory = own.get();
    table.set_directory(std::move(own));
  }
  table.enter(ebb::detail::kHomeService.id(), ebb::detail::kTypeDescriptor<HomeService>);
  return ebb::run_cores(2, [body] { return ebb::testing::with_clean_end(body()); });
}

TEST(LostAnswer, LeavesAHomeItsState) { EXPECT_EQ(run(kept), 0); }
TEST(LostAnswer, IsNoReasonToForgetAHome) { EXPECT_EQ(run(forgotten), 0); }
TEST(LostQuestion, IsAskedAgainWithinACall) { EXPECT_EQ(run(asked_again), 0); }

}  // namespace
