// Homes that move between the cores of one node, with states that do not want to; and what a new home is told. Across nodes: the
// simulator's scenarios moves and life.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/drop.h"
#include "src/object/home_service.h"
#include "src/object/moves.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::kFrontEndNode;
using namespace std::chrono_literals;

int run(std::function<ebb::task<int>()> body) {
  ebb::NodeTable::instance().enter(ebb::detail::kHomeService.id(), ebb::detail::kTypeDescriptor<ebb::detail::HomeService>);
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};
std::atomic<bool> save_throws{false};
std::atomic<int> restores_throw{0};
std::atomic<bool> gate{false};

struct Purse {
  using policy = ebb::single_home;
  Purse() { ++alive; }
  ~Purse() { --alive; }
  std::int64_t sum = 0;
  std::int64_t add(std::int64_t amount) { return sum += amount; }
  ebb::task<std::int64_t> wait() {
    while (!gate) co_await ebb::sleep_for(100us);
    co_return sum;
  }
  std::int64_t save() const {
    // Whatever it says, to others it is a failure of this type.
    if (save_throws) throw ebb::ErrorException(ebb::Error(Errc::moved, "not now"));
    return sum;
  }
  void restore(std::int64_t state) {
    if (restores_throw > 0 && restores_throw-- > 0) throw std::runtime_error("not yet");
    sum = state;
  }
  using interface = ebb::interface<"test.Purse/1", ebb::method<"add", &Purse::add>, ebb::method<"wait", &Purse::wait>>;
};

ebb::task<ebb::ref<Purse>> make_purse() {
  const auto purse = (co_await ebb::create<Purse>()).value();
  EXPECT_EQ((co_await purse.call<&Purse::add>(40)).value(), 40);
  co_return purse;
}

ebb::task<int> nowhere() {
  const auto purse = co_await make_purse();
  for (const CoreIndex core : {ebb::kAnyCore, CoreIndex{2}, CoreIndex{300}}) {
    EXPECT_EQ((co_await ebb::migrate(purse, kFrontEndNode, core)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await ebb::create_at<Purse>(kFrontEndNode, core)).code(), Errc::invalid_argument);
    auto& directory = ebb::NodeTable::instance().directory();
    if (ebb::to_number(core) >= ebb::kMaxCores) {
      EXPECT_EQ((co_await directory.re_home(purse.id(), 1, kFrontEndNode, core)).code(), Errc::invalid_argument);
    }
    ebb::NodeTable::instance().learn_home(purse.id(), {kFrontEndNode, core == CoreIndex{2} ? ebb::kAnyCore : core, 2});
    EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(0)).value(), 40);
  }
  EXPECT_EQ((co_await ebb::migrate(purse, ebb::NodeId{7})).code(), Errc::invalid_argument);
  EXPECT_TRUE(co_await ebb::migrate(purse, kFrontEndNode, CoreIndex{1}));
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(2)).value(), 42);
  EXPECT_TRUE(co_await ebb::destroy(purse));
  co_return 0;
}

TEST(Migrate, GoesToNoCoreThatIsNotThere) { EXPECT_EQ(run(nowhere), 0); }

ebb::task<int> throwing() {
  const auto purse = co_await make_purse();
  save_throws = true;
  EXPECT_EQ((co_await ebb::migrate(purse, kFrontEndNode, CoreIndex{1})).code(), Errc::application_error);
  save_throws = false;
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 41) << "a state that cannot be saved stays";
  restores_throw = 1;
  EXPECT_EQ((co_await ebb::migrate(purse, kFrontEndNode, CoreIndex{1})).code(), Errc::application_error);
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 42) << "a state that cannot be restored is tried again";
  EXPECT_EQ((co_await ebb::drop(purse)).value(), 1u);
  restores_throw = 1;
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).code(), Errc::application_error);
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 43) << "the same where it was dropped";
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0) << "what was given away ends with its object";
  co_return 0;
}

TEST(Migrate, LosesNoStateToAnException) { EXPECT_EQ(run(throwing), 0); }

ebb::task<int> refused() {
  const auto purse = co_await make_purse();
  {
    const ebb::detail::Room full(ebb::detail::kMaxParcel);
    EXPECT_EQ((co_await ebb::migrate(purse, kFrontEndNode, CoreIndex{1})).code(), Errc::overloaded);
  }
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 41) << "silent after a move that failed";
  EXPECT_TRUE(co_await ebb::migrate(purse, kFrontEndNode, CoreIndex{1}));
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 42);
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Migrate, LeavesAnObjectAnsweringWhenItFails) { EXPECT_EQ(run(refused), 0); }

ebb::task<int> last_epoch() {
  const auto purse = co_await make_purse();
  const ebb::Home home = ebb::NodeTable::instance().home_of(purse.id());
  constexpr std::uint32_t kLast = ebb::Home::kMaxEpoch;
  ebb::NodeTable::instance().learn_home(purse.id(), {home.node, home.core, kLast});
  const auto given = co_await ebb::detail::kHomeService.on(home.core).call<&ebb::detail::HomeService::give>(purse.id(), kLast);
  EXPECT_EQ(given.code(), Errc::resource_exhausted);
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(2)).value(), 42) << "it was taken out of its slot";
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Migrate, LeavesAnObjectWhereItIsInItsLastEpoch) { EXPECT_EQ(run(last_epoch), 0); }

ebb::task<int> lying_parcels() {
  const auto purse = co_await make_purse();
  const ebb::detail::Room other(1);  // beside which the largest numbers would come to small ones
  for (const std::uint64_t size : {std::uint64_t{ebb::detail::kMaxParcel} + 1, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    EXPECT_FALSE(ebb::detail::Room(size)) << size;
    // Another node's word for it.
    const ebb::detail::Parcel lie{size, 1, kFrontEndNode, CoreIndex{0}, {}};
    const auto there = ebb::detail::kHomeService.on(CoreIndex{1});
    EXPECT_EQ((co_await there.call<&ebb::detail::HomeService::take>(purse.id(), 2, lie)).code(),
              Errc::overloaded) << size;
  }
  EXPECT_TRUE(co_await ebb::migrate(purse, kFrontEndNode, CoreIndex{1})) << "they have taken room";
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(2)).value(), 42);
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Migrate, TakesNoStateOfAnySizeThatAnotherNodeSays) { EXPECT_EQ(run(lying_parcels), 0); }

ebb::task<int> busy() {
  gate = false;
  const auto purse = co_await make_purse();
  const auto service = ebb::detail::kHomeService.on(kFrontEndNode, CoreIndex{0});
  ebb::Scope scope;
  auto wait = [](ebb::ref<Purse> object) -> ebb::task<void> { EXPECT_TRUE(co_await object.call<&Purse::wait>()); };
  scope.spawn(wait(purse));
  auto give = [](ebb::ref<Purse> object, Errc* code) -> ebb::task<void> {
    *code = (co_await ebb::detail::kHomeService.on(kFrontEndNode, CoreIndex{0}).call<&ebb::detail::HomeService::give>(object.id(), 1)).code();
  };
  Errc given = Errc::ok;
  scope.spawn(give(purse, &given));
  co_await ebb::sleep_for(2ms);
  EXPECT_EQ((co_await service.call<&ebb::detail::HomeService::give>(purse.id(), 1)).code(), Errc::moved) << "two moves at a time";
  EXPECT_FALSE(co_await purse.on_home().within(20ms).call<&Purse::add>(1)) << "it is being given away";
  EXPECT_TRUE(co_await service.call<&ebb::detail::HomeService::keep>(purse.id(), 1));
  EXPECT_EQ((co_await purse.on_home().within(2s).call<&Purse::add>(1)).value(), 41);
  gate = true;
  co_await scope.join();
  EXPECT_EQ(given, Errc::moved);
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Migrate, EndsAtOnceWhenItsHomeKeepsTheObject) { EXPECT_EQ(run(busy), 0); }

ebb::task<int> forget_with_the_end() {
  const auto purse = co_await make_purse();
  const auto service = ebb::detail::kHomeService.on(kFrontEndNode, CoreIndex{0});
  auto state = ebb::detail::send_parcel(std::vector<std::byte>(1000));
  EXPECT_TRUE(co_await service.call<&ebb::detail::HomeService::take>(purse.id(), 2, *state));
  EXPECT_FALSE(ebb::detail::Room(ebb::detail::kMaxParcel));
  EXPECT_TRUE(co_await ebb::destroy(purse));
  EXPECT_TRUE(ebb::detail::Room(ebb::detail::kMaxParcel)) << "a state waits for a home that has ended";
  EXPECT_EQ((co_await service.call<&ebb::detail::HomeService::take>(purse.id(), 2, *state)).code(), Errc::no_such_object);
  co_return 0;
}

TEST(Migrate, KeepsNoStateOfAnObjectThatHasEnded) { EXPECT_EQ(run(forget_with_the_end), 0); }

// --- a home that is made anew, and takes back what it has kept elsewhere ---

struct Vault {
  using policy = ebb::replicated;
  std::int64_t kept = 0;
  void keep(std::int64_t value) { kept = value; }
  std::int64_t read() const { return kept; }
  std::int64_t save() const { return kept; }
  void restore(std::int64_t state) { kept = state; }
  using interface = ebb::interface<"test.Vault/1", ebb::method<"keep", &Vault::keep>, ebb::method<"read", &Vault::read>>;
};

std::atomic<bool> vault_closed{false};

struct Careful {
  using policy = ebb::remade_home;
  std::int64_t sum = 0;
  ebb::task<ebb::Result<std::int64_t>> add(std::int64_t amount) {
    const std::int64_t now = sum += amount;
    const auto vault = co_await ebb::find<Vault>("vault");
    if (!vault) co_return vault.error();
    if (const auto kept = co_await vault->call<&Vault::keep>(now); !kept) co_return kept.error();
    co_return now;
  }
  ebb::task<void> on_lost(ebb::home_lost) {
    if (vault_closed) throw std::runtime_error("not yet");
    const auto vault = (co_await ebb::find<Vault>("vault")).value();
    sum = (co_await vault.call<&Vault::read>()).value();
  }
  using interface = ebb::interface<"test.Careful/1", ebb::method<"add", &Careful::add>>;
};

ebb::task<int> snapshot() {
  const auto vault = (co_await ebb::create<Vault>("vault")).value();
  const auto careful = (co_await ebb::create<Careful>()).value();
  EXPECT_EQ((co_await careful.call<&Careful::add>(40)).value(), 40);
  // As the front end does when a home's node is gone.
  EXPECT_TRUE(co_await ebb::NodeTable::instance().directory().re_home(careful.id(), 1, kFrontEndNode, CoreIndex{1}));
  ebb::NodeTable::instance().learn_home(careful.id(), {kFrontEndNode, CoreIndex{1}, 2});
  vault_closed = true;
  EXPECT_EQ((co_await careful.call<&Careful::add>(2)).code(), Errc::application_error) << "answered before it has its state";
  vault_closed = false;
  EXPECT_EQ((co_await careful.call<&Careful::add>(2)).value(), 42);
  EXPECT_TRUE(co_await ebb::destroy(careful));
  EXPECT_TRUE(co_await ebb::destroy(vault));
  co_return 0;
}

TEST(RemadeHome, WaitsInOnLostForWhatItHasKeptElsewhere) { EXPECT_EQ(run(snapshot), 0); }

}  // namespace
