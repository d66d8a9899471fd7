// Calls of every representative, on one node. Across nodes: tests/cluster/everywhere; while nodes are lost: tests/sim.
#include "ebb/object/everywhere.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <span>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/object/closing.h"
#include "src/object/collective_service.h"
#include "src/object/fan_out.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/lone_link.h"

namespace {

using ebb::Core;
using ebb::CoreIndex;
using ebb::Errc;
using namespace std::chrono_literals;

constexpr std::size_t kCores = 12;  // more than the fan-out: a tree of two levels

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(kCores, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::int64_t core_number() { return ebb::to_number(Core::current().index()); }

struct Tally {
  std::int64_t value = 0;
  void add(std::int64_t n) { value += n; }
  std::int64_t get() const { return value; }
  std::map<std::string, std::int64_t> words() const { return {{"all", 1}, {"core " + std::to_string(core_number()), value}}; }
  std::vector<std::int64_t> mine() const { return {value}; }
  std::int64_t fail_on_core_3() const {
    if (core_number() == 3) throw std::runtime_error("core 3 has none");
    return value;
  }
  ebb::task<std::int64_t> slowly() {
    co_await ebb::sleep_for(30ms);
    co_return value;
  }
  using interface =
      ebb::interface<"test.Tally/1", ebb::method<"add", &Tally::add>, ebb::method<"get", &Tally::get>,
                     ebb::method<"words", &Tally::words>, ebb::method<"mine", &Tally::mine>,
                     ebb::method<"fail_on_core_3", &Tally::fail_on_core_3>, ebb::method<"slowly", &Tally::slowly>>;
};

ebb::task<int> broadcast() {
  const auto tally = (co_await ebb::create<Tally>()).value();
  const auto nobody = (co_await tally.everywhere().call<&Tally::add>(1)).value();
  EXPECT_EQ(nobody.nodes, 1u);
  EXPECT_EQ(nobody.representatives, 0u) << "made for a call that makes none";
  for (const std::uint16_t core : {1, 5, 11}) EXPECT_TRUE(co_await tally.on(CoreIndex{core}).call<&Tally::add>(10));
  EXPECT_EQ((co_await tally.everywhere().call<&Tally::add>(1)).value().representatives, 3u);
  EXPECT_EQ((co_await tally.everywhere().every_core().call<&Tally::add>(1)).value().representatives, kCores);
  const auto all = (co_await tally.everywhere().gather<&Tally::get>()).value();
  EXPECT_EQ(all.who.representatives, kCores);
  EXPECT_EQ(all.value.size(), kCores);
  for (std::size_t i = 0; i < all.value.size(); ++i) {
    EXPECT_EQ(ebb::to_number(all.value[i].core), i) << "not in the order of cores";
    EXPECT_EQ(all.value[i].value, i == 1 || i == 5 || i == 11 ? 12 : 1);
  }
  EXPECT_TRUE(co_await tally.everywhere().send<&Tally::add>(100));
  ebb::Result<std::int64_t> sum = co_await tally.reduce<&Tally::get>(std::int64_t{0}, std::plus<>{});
  for (int i = 0; i < 1000 && sum.value() != 1200 + 3 * 11 + 12; ++i) {
    co_await ebb::sleep_for(1ms);
    sum = co_await tally.reduce<&Tally::get>(std::int64_t{0}, std::plus<>{});
  }
  EXPECT_EQ(sum.value(), 1200 + 3 * 11 + 12);
  co_return 0;
}

TEST(Everywhere, ReachesEachRepresentativeOnceAndSaysHowMany) { EXPECT_EQ(run(broadcast), 0); }

ebb::task<int> fold() {
  const auto tally = (co_await ebb::create<Tally>()).value();
  EXPECT_EQ((co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{7}, ebb::sum())).value().value, 7);
  for (std::uint16_t core = 0; core < kCores; ++core) EXPECT_TRUE(co_await tally.on(CoreIndex{core}).call<&Tally::add>(core + 1));
  const auto everywhere = tally.everywhere();
  EXPECT_EQ((co_await everywhere.reduce<&Tally::get>(std::int64_t{7}, ebb::sum())).value().value, 7 + 78);
  EXPECT_EQ((co_await everywhere.reduce<&Tally::get>(std::int64_t{100}, ebb::minimum())).value().value, 1);
  EXPECT_EQ((co_await everywhere.reduce<&Tally::get>(std::int64_t{0}, ebb::maximum())).value().value, 12);
  const auto list = (co_await everywhere.reduce<&Tally::mine>(std::vector<std::int64_t>(), ebb::appended())).value();
  EXPECT_EQ(list.who.representatives, kCores);
  EXPECT_EQ(std::accumulate(list.value.begin(), list.value.end(), 0), 78);
  EXPECT_EQ(list.value.size(), kCores);
  const std::map<std::string, std::int64_t> none;
  const auto words = (co_await everywhere.reduce<&Tally::words>(none, ebb::merged())).value().value;
  EXPECT_EQ(words.at("all"), static_cast<std::int64_t>(kCores));
  EXPECT_EQ(words.at("core 4"), 5);
  // An operation of the caller's own sees the results in the order of the cores.
  std::string order;
  const auto note = [](std::string text, std::int64_t value) { return text + std::to_string(value) + " "; };
  EXPECT_EQ((co_await everywhere.reduce<&Tally::get>(order, note)).value().value, "1 2 3 4 5 6 7 8 9 10 11 12 ");
  co_return 0;
}

TEST(Everywhere, FoldsByNamedOperationsAndByTheCallersOwn) { EXPECT_EQ(run(fold), 0); }

ebb::task<int> fail() {
  const auto tally = (co_await ebb::create<Tally>()).value();
  EXPECT_TRUE(co_await tally.everywhere().every_core().call<&Tally::add>(1));
  const auto failed = co_await tally.everywhere().gather<&Tally::fail_on_core_3>();
  EXPECT_EQ(failed.code(), Errc::application_error);
  EXPECT_NE(failed.error().text().find("core 3 has none"), std::string::npos) << failed.error().text();
  const auto late = co_await tally.everywhere().within(1ms).gather<&Tally::slowly>();
  EXPECT_EQ(late.code(), Errc::deadline_exceeded);
  ebb::cancel_source source;
  ebb::Core::current().call_after(1ms, [&source] { source.cancel(); });
  const auto cancelled = co_await tally.everywhere().cancelled_by(source.token()).gather<&Tally::slowly>();
  EXPECT_EQ(cancelled.code(), Errc::cancelled);
  // Those calls go on; the barrier waits for them.
  const auto idle = co_await tally.everywhere().barrier();
  EXPECT_EQ(idle.value().representatives, kCores);
  EXPECT_EQ(ebb::NodeTable::instance().calls_under_way(tally.id()), 0u);
  EXPECT_TRUE(co_await ebb::destroy(tally));
  co_return 0;
}

ebb::task<int> ask_for_too_long() {
  const auto tally = (co_await ebb::create<Tally>()).value();
  const auto everywhere = tally.everywhere().every_core().within(1h + 1s);
  const auto called = co_await everywhere.call<&Tally::add>(1);
  EXPECT_EQ(called.code(), Errc::invalid_argument);
  const auto sent = co_await everywhere.send<&Tally::add>(1);
  EXPECT_EQ(sent.code(), Errc::invalid_argument);
  const auto allowed = tally.everywhere().every_core().within(1h);
  EXPECT_EQ((co_await allowed.reduce<&Tally::get>(std::int64_t{0}, ebb::sum())).value().value, 0) << "nothing ran";
  EXPECT_TRUE(co_await ebb::destroy(tally));
  co_return 0;
}

TEST(Everywhere, RefusesDeadlinesThatNoCallMayHave) { EXPECT_EQ(run(ask_for_too_long), 0); }

TEST(Everywhere, SaysWhatFailedAndWaitsAtABarrier) { EXPECT_EQ(run(fail), 0); }

ebb::task<int> ask_nobody() {
  const auto destroyed = (co_await ebb::create<Tally>()).value();
  EXPECT_TRUE(co_await ebb::destroy(destroyed));
  for (const auto& nothing : {destroyed, ebb::ref<Tally>(), ebb::ref<Tally>::unchecked(ebb::ObjectId(4712))}) {
    const auto everywhere = nothing.everywhere();
    EXPECT_EQ((co_await everywhere.call<&Tally::add>(1)).code(), Errc::no_such_object) << nothing.id().index();
    EXPECT_EQ((co_await everywhere.every_core().call<&Tally::add>(1)).code(), Errc::no_such_object);
    EXPECT_EQ((co_await everywhere.send<&Tally::add>(1)).code(), Errc::no_such_object);
    EXPECT_EQ((co_await everywhere.gather<&Tally::get>()).code(), Errc::no_such_object);
    EXPECT_EQ((co_await nothing.reduce<&Tally::get>(std::int64_t{0}, ebb::sum())).code(), Errc::no_such_object);
    EXPECT_EQ((co_await everywhere.barrier()).code(), Errc::no_such_object);
  }
  co_return 0;
}

TEST(Everywhere, SaysThatThereIsNoSuchObject) { EXPECT_EQ(run(ask_nobody), 0); }

struct Shared {
  using policy = ebb::per_node;
  std::atomic<int> calls{0};
  int count() { return ++calls; }
  using interface = ebb::interface<"test.Shared/1", ebb::method<"count", &Shared::count>>;
};

ebb::task<int> shared() {
  const auto object = (co_await ebb::create<Shared>()).value();
  for (std::uint16_t core = 2; core < 6; ++core) EXPECT_TRUE(co_await object.on(CoreIndex{core}).call<&Shared::count>());
  const auto once = (co_await object.everywhere().gather<&Shared::count>()).value();
  EXPECT_EQ(once.who.representatives, 1u);
  EXPECT_EQ(once.value.at(0).value, 5);
  co_return 0;
}

TEST(Everywhere, CallsWhatANodeSharesOnce) { EXPECT_EQ(run(shared), 0); }

ebb::task<int> repeat() {
  using namespace ebb::detail;
  const auto tally = (co_await ebb::create<Tally>()).value();
  EXPECT_TRUE(co_await tally.everywhere().every_core().call<&Tally::add>(1));
  static_cast<void>(collective_service_here());
  const ebb::call_context nobody;
  const std::tuple<std::int64_t> one{1};
  CollectiveRequest request{ebb::NodeId{77}, 5, false, 1, {}, {}};
  request.collective = {tally.id(), Tally::interface::id, Tally::interface::method_id<&Tally::add>(), 0, CollectiveWork::call,
                        false, ebb::wire::encode(one)};
  // Twice at once, and once more: the second comes from whoever took over for a lost node.
  auto first = kCollectiveService->run(nobody, request);
  auto second = kCollectiveService->run(nobody, request);
  auto both = when_all(std::move(first), std::move(second));
  const auto [a, b] = co_await std::move(both);
  EXPECT_TRUE(a.has_value() && b.has_value());
  EXPECT_TRUE(co_await kCollectiveService->run(nobody, request));
  EXPECT_EQ((co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{0}, ebb::sum())).value().value, 2 * 12) << "ran again";
  // What is no longer remembered is not run either.
  for (std::uint64_t number = 6; number < 6 + kRememberedCollectives + 1; ++number) {
    if (number % 16 == 15) co_await ebb::yield();  // without tail calls what ends at once stays on the stack
    CollectiveRequest next = request;
    next.number = number;
    next.collective.object = ebb::ObjectId{4000};
    EXPECT_TRUE(co_await kCollectiveService->run(nobody, std::move(next)));
  }
  auto parcel = (co_await kCollectiveService->run(nobody, request)).value();
  const auto told = (co_await fetch_parcel(std::move(parcel))).value();
  EXPECT_EQ(ebb::wire::decode<ebb::Result<CollectiveAnswer>>(told).value().code(), Errc::overloaded);
  EXPECT_EQ((co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{0}, ebb::sum())).value().value, 2 * 12);
  request.below.push_back({ebb::NodeId{1}, 0});
  EXPECT_EQ((co_await kCollectiveService->run(nobody, request)).code(), Errc::malformed);
  co_return 0;
}

TEST(Everywhere, CarriesOutARequestThatComesAgainOnlyOnce) { EXPECT_EQ(run(repeat), 0); }

std::atomic<int> heard{0};

/// Who calls it, and whether it still waits.
struct Listener {
  ebb::NodeId caller(const ebb::call_context& context) { return context.caller; }
  ebb::task<void> listen(const ebb::call_context& context) {
    const bool fired = co_await context.cancellation.cancelled();
    if (fired) ++heard;
  }
  using interface = ebb::interface<"test.EverywhereListener/1", ebb::method<"caller", &Listener::caller>,
                                   ebb::method<"listen", &Listener::listen>>;
};

ebb::task<void> expect_heard(int count) {
  for (int look = 0; look < 3000 && heard != count; ++look) co_await ebb::sleep_for(1ms);
  EXPECT_EQ(heard, count);
}

ebb::task<void> listen_until(ebb::ref<Listener> object, ebb::cancel_token token) {
  static_cast<void>(co_await object.on(CoreIndex{3}).cancelled_by(token).call<&Listener::listen>());
}

ebb::task<ebb::Result<ebb::detail::CollectiveAnswer>> ask_service(ebb::call_context context, std::uint64_t number,
                                                                  ebb::detail::Collective collective) {
  using namespace ebb::detail;
  CollectiveRequest request{ebb::NodeId{77}, number, false, 1, {}, std::move(collective)};
  auto parcel = co_await kCollectiveService->run(context, std::move(request));
  const auto bytes = (co_await fetch_parcel(std::move(parcel).value())).value();
  co_return ebb::wire::decode<ebb::Result<CollectiveAnswer>>(bytes).value();
}

ebb::task<int> listen() {
  using namespace ebb::detail;
  const auto object = (co_await ebb::create<Listener>()).value();
  EXPECT_TRUE(co_await object.everywhere().every_core().call<&Listener::caller>());
  ebb::cancel_source source;
  Core::current().call_after(2ms, [&source] { source.cancel(); });
  EXPECT_EQ((co_await object.everywhere().cancelled_by(source.token()).call<&Listener::listen>()).code(), Errc::cancelled);
  co_await expect_heard(kCores);
  // On another node: the caller is who asked first, and what the node in between gives up is given up here.
  static_cast<void>(collective_service_here());
  const std::uint64_t id = Listener::interface::id;
  const Collective who{object.id(), id, Listener::interface::method_id<&Listener::caller>(), 0, CollectiveWork::gather, false, {}};
  const auto all = (co_await ask_service({}, 1, who)).value();
  for (const Gathered& each : all.gathered) EXPECT_EQ(ebb::wire::decode<ebb::NodeId>(each.result).value(), ebb::NodeId{77});
  EXPECT_EQ(all.gathered.size(), kCores);
  heard = 0;
  ebb::call_context context;
  context.cancellation = source.token();  // has fired
  const Collective wait{object.id(), id, Listener::interface::method_id<&Listener::listen>(), 0, CollectiveWork::call, false, {}};
  EXPECT_TRUE(co_await ask_service(context, 2, wait));
  co_await expect_heard(kCores);
  // A barrier that nobody waits at ends.
  ebb::cancel_source later;
  ebb::Scope scope;
  scope.spawn(listen_until(object, later.token()));
  auto look = [id = object.id()] { return ebb::NodeTable::instance().calls_under_way(id); };
  for (std::uint32_t there = 0; there == 0;) there = co_await ebb::on_core(CoreIndex{3}, look);
  const Collective barrier{object.id(), id, 0, 0, CollectiveWork::barrier, false, {}};
  EXPECT_EQ((co_await ask_service(context, 3, barrier)).code(), Errc::cancelled);
  later.cancel();
  co_await scope.join();
  EXPECT_TRUE(co_await ask_service({}, 3, barrier)) << "who asks in the place of one that was lost waits anew";
  co_return 0;
}

TEST(Everywhere, TellsWhoCallsAndWhenTheyGiveUp) { EXPECT_EQ(run(listen), 0); }

ebb::task<void> ask_and_note(ebb::call_context context, ebb::detail::CollectiveRequest request, bool* ended) {
  EXPECT_TRUE(co_await ebb::detail::kCollectiveService->run(context, std::move(request)));
  *ended = true;
}

/// A part whose asker was lost goes on as long as its origin, here the node itself, waits for the call, or until the node `closes`.
ebb::task<int> lose_the_asker(bool closes) {
  using namespace ebb::detail;
  const auto object = (co_await ebb::create<Listener>()).value();
  EXPECT_TRUE(co_await object.everywhere().every_core().call<&Listener::caller>());
  const std::uint64_t number = collective_service_here().next_number();
  std::optional<CollectiveService::Wanted> wanted(std::in_place, number);
  ebb::cancel_source lost;
  lost.cancel();
  ebb::call_context context;
  context.cancellation = lost.token();
  const Collective wait{object.id(), Listener::interface::id, Listener::interface::method_id<&Listener::listen>(), 0,
                        CollectiveWork::call, false, {}};
  CollectiveRequest request{ebb::kFrontEndNode, number, false, 1, {}, wait};
  heard = 0;
  bool ended = false;
  ebb::Scope scope;
  scope.spawn(ask_and_note(context, std::move(request), &ended));
  co_await ebb::sleep_for(1500ms);
  EXPECT_EQ(heard, 0) << "a method hears that its caller gave up, who did not";
  EXPECT_FALSE(ended);
  if (closes) {
    note_closing();
  } else {
    wanted.reset();
  }
  co_await expect_heard(kCores);
  co_await scope.join();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(co_await ebb::destroy(object));
  const ebb::testing::LoneLink again(kCores);  // it closes no more
  co_return 0;
}

TEST(Everywhere, GoesOnWhileItsOriginWaits) {
  EXPECT_EQ(run([] { return lose_the_asker(false); }), 0);
  EXPECT_EQ(run([] { return lose_the_asker(true); }), 0);
}

/// Fails where it is applied.
struct refused_sum {
  static constexpr std::string_view name = "test.refused_sum";
  std::int64_t operator()(std::int64_t, std::int64_t) const { throw std::runtime_error("no sum"); }
};

ebb::task<int> fold_badly() {
  const auto tally = (co_await ebb::create<Tally>()).value();
  EXPECT_TRUE(co_await tally.everywhere().every_core().call<&Tally::add>(1));
  const auto failed = co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{0}, refused_sum());
  EXPECT_EQ(failed.code(), Errc::application_error);
  const auto alone = (co_await ebb::create<Tally>()).value();
  EXPECT_TRUE(co_await alone.on(CoreIndex{1}).call<&Tally::add>(1));
  EXPECT_EQ((co_await alone.everywhere().reduce<&Tally::get>(std::int64_t{0}, refused_sum())).code(), Errc::application_error);
  co_return 0;
}

TEST(Everywhere, EndsWithWhatAnOperationThrows) { EXPECT_EQ(run(fold_badly), 0); }

TEST(FanOut, CutsIntoRunsOfNearlyOneLength) {
  for (std::size_t count = 0; count < 100; ++count) {
    std::vector<std::size_t> all(count);
    std::iota(all.begin(), all.end(), 0u);
    std::vector<std::size_t> joined;
    const auto runs = ebb::detail::split<std::size_t>(all);
    EXPECT_EQ(runs.size(), std::min(count, ebb::detail::kFanOut));
    for (const auto& run : runs) {
      EXPECT_GE(run.size(), count / ebb::detail::kFanOut);
      EXPECT_LE(run.size(), count / ebb::detail::kFanOut + 1);
      joined.insert(joined.end(), run.begin(), run.end());
    }
    EXPECT_EQ(joined, all);
  }
}

/// One instance that all cores share, with a call of one of them under way.
struct Hall {
  using policy = ebb::per_node;
  std::atomic<bool> entered{false};
  std::atomic<bool> left{false};
  ebb::task<void> visit() {
    entered = true;
    co_await ebb::sleep_for(30ms);
    left = true;
  }
  bool empty() const { return left; }
  using interface = ebb::interface<"test.Hall/1", ebb::method<"visit", &Hall::visit>, ebb::method<"empty", &Hall::empty>>;
};

ebb::task<int> wait_for_calls_of_all_cores() {
  const auto hall = (co_await ebb::create<Hall>()).value();
  EXPECT_FALSE(hall->empty());
  ebb::Scope scope;
  auto visiting = [](ebb::ref<Hall> object) -> ebb::task<void> {
    EXPECT_TRUE(co_await object.on(CoreIndex{3}).call<&Hall::visit>());
  };
  scope.spawn(visiting(hall));
  while (!hall->entered) co_await ebb::sleep_for(1ms);
  const auto idle = co_await hall.everywhere().barrier();
  EXPECT_TRUE(hall->empty()) << "a call of another core was not waited for";
  EXPECT_EQ(idle.value().representatives, 1u);
  co_await scope.join();
  EXPECT_TRUE(co_await ebb::destroy(hall));
  co_return 0;
}

TEST(Everywhere, WaitsAtABarrierForTheCallsOfAllCoresOfASharedInstance) { EXPECT_EQ(run(wait_for_calls_of_all_cores), 0); }

struct Pile {
  std::uint64_t bytes = 0;
  void add(const std::string& text) { bytes += text.size(); }
  using interface = ebb::interface<"test.Pile/1", ebb::method<"add", &Pile::add>>;
};

ebb::task<int> send_too_much() {
  const auto pile = (co_await ebb::create<Pile>()).value();
  const std::string text(std::size_t{4} << 20, 'x');
  EXPECT_EQ((co_await pile.everywhere().every_core().call<&Pile::add>(text)).code(), Errc::too_large);
  EXPECT_EQ((co_await pile.everywhere().every_core().send<&Pile::add>(text)).code(), Errc::too_large);
  co_await ebb::sleep_for(5ms);
  EXPECT_EQ(pile->bytes, 0u) << "it ran here, and no other node could have been told";
  EXPECT_TRUE(co_await ebb::destroy(pile));
  co_return 0;
}

TEST(Everywhere, RefusesArgumentsThatCannotTravelBeforeItRunsAnywhere) { EXPECT_EQ(run(send_too_much), 0); }

}  // namespace
