// Replicated objects on the cores of one node: what readers see, in which order, and what a failing write leaves.
#include "ebb/object/replicated.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/lease.h"
#include "ebb/platform/translation_table.h"
#include "src/object/replica.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"
#include "tests/unit/object/lone_link.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;

constexpr std::size_t kCores = 3;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(kCores, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

struct Log {
  using policy = ebb::replicated;
  std::vector<std::int64_t> lines;

  std::int64_t append(std::int64_t line) {
    lines.push_back(line);
    if (line < 0) throw std::invalid_argument("a line is not negative");
    return static_cast<std::int64_t>(lines.size());
  }
  std::vector<std::int64_t> read() const { return lines; }
  std::vector<std::int64_t> save() const { return lines; }
  void restore(std::vector<std::int64_t> state) { lines = std::move(state); }
  using interface = ebb::interface<"test.Log/1", ebb::method<"append", &Log::append>, ebb::method<"read", &Log::read>>;
};

ebb::task<int> adjust() {
  const auto log = (co_await ebb::create_at<Log>(ebb::kFrontEndNode, CoreIndex{1})).value();
  ebb::cancel_source source;
  source.cancel();
  EXPECT_EQ((co_await log.cancelled_by(source.token()).call<&Log::append>(1)).code(), Errc::cancelled);
  EXPECT_EQ((co_await log.within(std::chrono::seconds(0)).call<&Log::append>(1)).code(), Errc::deadline_exceeded);
  EXPECT_EQ((co_await log.on_home().within(std::chrono::seconds(0)).call<&Log::append>(1)).code(), Errc::deadline_exceeded);
  EXPECT_EQ(log->lines.size(), 0u);
  EXPECT_EQ((co_await log.within(std::chrono::seconds(5)).call<&Log::append>(1)).value(), 1);
  EXPECT_EQ((co_await log.on_home().call<&Log::append>(2)).value(), 2);
  EXPECT_EQ(log->lines.size(), 2u) << "a write by way of the home passed the replicas by";
  EXPECT_EQ((co_await log.within(std::chrono::seconds(5)).call<&Log::read>()).value().size(), 2u);
  EXPECT_TRUE(co_await log.send<&Log::append>(3));
  for (int look = 0; look < 3000 && log->lines.size() != 3; ++look) co_await ebb::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(log->lines.size(), 3u);
  EXPECT_TRUE(co_await ebb::destroy(log));
  co_return 0;
}

TEST(Replicated, TakesWritesWithADeadlineOrACancellation) { EXPECT_EQ(run(adjust), 0); }

ebb::task<void> run_beside(bool* ran) {
  co_await ebb::yield();
  *ran = true;
}

/// The home is here, and nobody else has a replica: nothing that a write waits for.
ebb::task<int> write_in_a_loop() {
  const auto log = (co_await ebb::create_at<Log>(ebb::kFrontEndNode, CoreIndex{0})).value();
  EXPECT_EQ((co_await log.call<&Log::append>(0)).value(), 1);
  bool ran = false;
  ebb::Scope scope;
  scope.spawn(run_beside(&ran));
  for (std::int64_t line = 1; line <= 10; ++line) EXPECT_EQ((co_await log.call<&Log::append>(line)).value(), line + 1);
  EXPECT_TRUE(ran) << "ten writes let nobody else come to its turn";
  co_await scope.join();
  EXPECT_TRUE(co_await ebb::destroy(log));
  co_return 0;
}

TEST(Replicated, LeavesTheCoreToOthersBetweenWrites) { EXPECT_EQ(run(write_in_a_loop), 0); }

ebb::task<std::vector<std::int64_t>> read_on(ebb::ref<Log> log, CoreIndex core) {
  co_return (co_await log.on(core).call<&Log::read>()).value();
}

ebb::task<int> replicate() {
  const auto log = (co_await ebb::create_at<Log>(ebb::kFrontEndNode, CoreIndex{1})).value();
  EXPECT_EQ((co_await log.call<&Log::append>(1)).value(), 1);
  // Core 2 joins late and gets the state, core 0 by the reference itself.
  const std::vector<std::int64_t> one(1, 1);
  EXPECT_EQ(co_await read_on(log, CoreIndex{2}), one);
  for (std::int64_t line = 2; line <= 200; ++line) EXPECT_EQ((co_await log.call<&Log::append>(line)).value(), line);
  const auto here = co_await log.call<&Log::read>();
  EXPECT_EQ(here.value().size(), 200u);
  static_assert(std::is_same_v<decltype(*log), const Log&>);
  for (std::uint16_t core = 0; core < kCores; ++core) EXPECT_EQ(co_await read_on(log, CoreIndex{core}), *here) << core;
  // What fails here fails in the same way on every replica.
  EXPECT_EQ((co_await log.call<&Log::append>(-1)).code(), Errc::application_error);
  for (std::uint16_t core = 0; core < kCores; ++core) EXPECT_EQ((co_await read_on(log, CoreIndex{core})).size(), 201u);
  EXPECT_TRUE(co_await ebb::destroy(log));
  EXPECT_EQ((co_await log.call<&Log::append>(1)).code(), Errc::no_such_object);
  co_return 0;
}

TEST(Replicated, ShowsEveryAnsweredWriteOnEveryCore) { EXPECT_EQ(run(replicate), 0); }

ebb::task<int> write_much(ebb::ref<Log> log, std::int64_t base) {
  for (std::int64_t i = 0; i < 300; ++i) {
    if (i % 16 == 15) co_await ebb::yield();  // without tail calls, as under sanitizers, what ends at once stays on the stack
    // Read here first, so that this core's replica is there, and changes under way are met.
    const std::size_t before = log->lines.size();
    const auto length = co_await log.call<&Log::append>(base + i);
    EXPECT_GT(static_cast<std::size_t>(length.value()), before);
    EXPECT_GE(log->lines.size(), static_cast<std::size_t>(*length)) << "an answered write is not seen where it was made";
  }
  co_return 0;
}

ebb::task<int> race() {
  const auto log = (co_await ebb::create<Log>()).value();
  std::vector<ebb::task<int>> writers;
  for (std::uint16_t core = 0; core < kCores; ++core) {
    auto work = [log, core] { return write_much(log, core * 1000); };
    writers.push_back(ebb::on_core(CoreIndex{core}, work));
  }
  co_await ebb::when_all(std::move(writers));
  const auto first = co_await read_on(log, CoreIndex{0});
  EXPECT_EQ(first.size(), 300 * kCores);
  for (std::uint16_t core = 1; core < kCores; ++core) EXPECT_EQ(co_await read_on(log, CoreIndex{core}), first);
  // A replica that is dropped is made again from the state.
  auto drop = [log] { ebb::NodeTable::instance().drop_here(log.id()); };
  co_await ebb::on_core(CoreIndex{1}, drop);
  EXPECT_EQ((co_await log.call<&Log::append>(7)).value(), static_cast<std::int64_t>(first.size() + 1));
  EXPECT_EQ((co_await read_on(log, CoreIndex{1})).size(), first.size() + 1);
  EXPECT_TRUE(co_await ebb::destroy(log));
  co_return 0;
}

TEST(Replicated, CarriesOutAllWritesInOneOrderEverywhere) { EXPECT_EQ(run(race), 0); }

// --- replicas that fail to be ---

std::atomic<bool> restore_throws{false};
std::function<void()> when_saved;

struct Sheet {
  using policy = ebb::replicated;
  std::int64_t count = 0;
  std::int64_t write(const std::string&) { return ++count; }
  std::int64_t read() const { return count; }
  std::int64_t save() const {
    if (when_saved) when_saved();
    return count;
  }
  void restore(std::int64_t state) {
    if (restore_throws) throw std::runtime_error("not now");
    count = state;
  }
  using interface = ebb::interface<"test.Sheet/1", ebb::method<"write", &Sheet::write>, ebb::method<"read", &Sheet::read>>;
};

ebb::task<int> fail_to_join() {
  const auto sheet = (co_await ebb::create<Sheet>()).value();
  const std::string nothing;
  EXPECT_TRUE(co_await sheet.call<&Sheet::write>(nothing));
  restore_throws = true;
  EXPECT_EQ((co_await sheet.on(CoreIndex{1}).call<&Sheet::read>()).code(), Errc::application_error);
  restore_throws = false;
  for (std::int64_t write = 2; write < 400; ++write) {
    const auto count = co_await sheet.within(std::chrono::seconds(2)).call<&Sheet::write>(nothing);
    EXPECT_EQ(count.code(), Errc::ok) << "waits for a replica that there is not, at write " << write;
    if (!count) co_return 1;
  }
  EXPECT_EQ((co_await sheet.on(CoreIndex{1}).call<&Sheet::read>()).value(), 399);
  EXPECT_TRUE(co_await ebb::destroy(sheet));
  co_return 0;
}

TEST(Replicated, WaitsForNoReplicaThatCouldNotJoin) { EXPECT_EQ(run(fail_to_join), 0); }

ebb::task<int> lose_the_lease() {
  ebb::testing::LoneLink link(kCores);
  const auto sheet = (co_await ebb::create<Sheet>()).value();
  const std::string nothing;
  EXPECT_TRUE(co_await sheet.call<&Sheet::write>(nothing));
  when_saved = [&link] { link.lease = false; };
  EXPECT_FALSE(co_await sheet.on(CoreIndex{1}).call<&Sheet::read>());
  when_saved = nullptr;
  auto look = [sheet] { return ebb::platform::translate(sheet.id()) != nullptr; };
  EXPECT_FALSE(co_await ebb::on_core(CoreIndex{1}, look)) << "a replica appears after those of the node have been dropped";
  link.lease = true;
  EXPECT_EQ((co_await sheet.on(CoreIndex{1}).call<&Sheet::read>()).value(), 1);
  EXPECT_TRUE(co_await ebb::destroy(sheet));
  co_return 0;
}

TEST(Replicated, ShowsNothingThatCameWhenTheLeaseHadEnded) { EXPECT_EQ(run(lose_the_lease), 0); }

/// The home moves to core 2, which has no replica, after that of core 0 has gone; only core 1 has one. The lease may be late when that
/// one has been dropped, too, for what core 2 has taken over.
ebb::task<int> lose_the_home(bool leaves, bool lease_is_late) {
  constexpr ebb::NodeId kSelf{3};
  ebb::testing::LoneLink link(kCores, kSelf);
  const auto log = (co_await ebb::create_at<Log>(kSelf, CoreIndex{0})).value();
  for (std::int64_t line = 1; line <= 2; ++line) EXPECT_EQ((co_await log.call<&Log::append>(line)).value(), line);
  EXPECT_EQ((co_await read_on(log, CoreIndex{1})).size(), 2u);
  ebb::NodeTable& table = ebb::NodeTable::instance();
  const std::uint32_t epoch = table.home_of(log.id()).epoch;
  const auto record = (co_await table.directory().re_home(log.id(), epoch, kSelf, CoreIndex{2})).value();
  table.learn_home(log.id(), ebb::home_of(record));
  table.drop_here(log.id());
  if (leaves) link.leave();
  std::atomic<int> asked{0};
  link.when_asked = [&link, &asked, lease_is_late] {
    // First who has a replica, then who must not have one any more.
    if (++asked != 2 || !lease_is_late) return;
    link.lease = false;
    ebb::Core::current().call_after(std::chrono::milliseconds(30), [&link] { link.lease = true; });
  };
  EXPECT_EQ((co_await log.call<&Log::append>(3)).value(), 3) << "what was answered is gone";
  link.when_asked = nullptr;
  EXPECT_GE(asked, 2);
  const std::vector<std::int64_t> all{1, 2, 3};
  for (std::uint16_t core = 0; core < kCores; ++core) EXPECT_EQ(co_await read_on(log, CoreIndex{core}), all) << core;
  // One that stays is the home from now on; one that leaves hands over what it has.
  EXPECT_EQ(table.home_of(log.id()).core, leaves ? CoreIndex{2} : CoreIndex{1});
  EXPECT_TRUE(co_await ebb::destroy(log));
  co_return 0;
}

TEST(Replicated, BeginsWithTheReplicaThatIsLeft) {
  EXPECT_EQ(run([] { return lose_the_home(false, false); }), 0);
  EXPECT_EQ(run([] { return lose_the_home(true, false); }), 0);
}

TEST(Replicated, KeepsWhatItHasTakenOverWhenTheLeaseIsLate) { EXPECT_EQ(run([] { return lose_the_home(true, true); }), 0); }

/// A core asks for the state once more, and its first attempt comes to its turn only then.
ebb::task<int> subscribe_late() {
  ebb::test::FakeLink link;
  const auto log = (co_await ebb::create<Log>()).value();
  (co_await log.call<&Log::append>(1)).value();
  const auto home = ebb::detail::kReplicaService.on(ebb::Core::current().index());
  const auto subscribe = [&home, &log](std::uint64_t attempt) {
    return home.call<&ebb::detail::ReplicaService::subscribe>(log.id(), ebb::test::kOther, CoreIndex{1}, attempt);
  };
  EXPECT_TRUE(co_await subscribe(7));
  EXPECT_EQ((co_await subscribe(6)).code(), Errc::moved);
  EXPECT_TRUE(co_await subscribe(8));
  EXPECT_TRUE(co_await ebb::destroy(log));
  co_return 0;
}

TEST(Replicated, HearsNoAttemptToJoinAfterALaterOne) { EXPECT_EQ(run(subscribe_late), 0); }

/// How long a write waits for a replica on a node that is no member any more, when the front end says `word`.
ebb::task<ebb::platform::Duration> write_beside_a_lost_replica(ebb::detail::Fence word) {
  ebb::test::FakeLink link;
  link.word = std::move(word);
  const auto log = (co_await ebb::create<Log>()).value();
  (co_await log.call<&Log::append>(1)).value();
  const auto home = ebb::detail::kReplicaService.on(ebb::Core::current().index());
  EXPECT_TRUE(co_await home.call<&ebb::detail::ReplicaService::subscribe>(log.id(), ebb::test::kOther, CoreIndex{1}, 1u));
  link.left = link.for_services = link.always = true;
  link.answers.emplace_back(Errc::node_gone, "node 5 is gone");
  const ebb::platform::Instant begun = ebb::platform::Clock::now();
  EXPECT_TRUE(co_await log.call<&Log::append>(2));
  const ebb::platform::Duration waited = ebb::platform::Clock::now() - begun;
  EXPECT_GT(link.calls, 0) << "it was not tried";
  EXPECT_TRUE(co_await ebb::destroy(log));
  co_return waited;
}

ebb::task<int> outlast_a_lost_replica() {
  using namespace std::chrono_literals;
  ebb::detail::Fence word;
  EXPECT_LT(co_await write_beside_a_lost_replica(word), ebb::kLease) << "its end has been seen";
  word.leases_end = 300ms;
  const auto as_told = co_await write_beside_a_lost_replica(word);
  EXPECT_GE(as_told, 300ms);
  EXPECT_LT(as_told, ebb::kLease);
  word.leases_end = 0ms;
  word.others = {ebb::test::kOther};
  EXPECT_GE(co_await write_beside_a_lost_replica(word), ebb::kLeaseEnds) << "that word is older than the loss";
  co_return 0;
}

TEST(Replicated, WaitsForALostReplicaAsLongAsItsLeaseMayLast) { EXPECT_EQ(run(outlast_a_lost_replica), 0); }

ebb::task<int> write_too_much() {
  const auto sheet = (co_await ebb::create<Sheet>()).value();
  const std::string large(ebb::detail::Original::kMaxWriteBytes, 'x');
  EXPECT_EQ((co_await sheet.call<&Sheet::write>(large)).code(), Errc::too_large) << "no replica on another node could follow";
  EXPECT_EQ((co_await sheet.call<&Sheet::write>(large.substr(100))).value(), 1) << "nothing had run";
  EXPECT_TRUE(co_await ebb::destroy(sheet));
  co_return 0;
}

TEST(Replicated, RefusesAWriteThatNoMessageCarries) { EXPECT_EQ(run(write_too_much), 0); }

}  // namespace
