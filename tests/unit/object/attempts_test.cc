// When a call is made again: where the runtime turned it away, and never because of what a method answers.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/object/partition.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using test::FakeLink;
using test::kOther;

std::atomic<int> runs{0};

/// Answers, or throws, with the code that it is told.
struct Refuser {
  Result<int> answer(Errc code) {
    ++runs;
    return Error(code, "the method's own");
  }
  int fail(Errc code) {
    ++runs;
    throw ErrorException(Error(code, "the method's own"));
  }
  /// What a method hears that calls another object, which turns it away.
  Result<int> pass_on() {
    ++runs;
    return Error::refusal(Errc::overloaded, "another object's");
  }
  int fail_on() {
    ++runs;
    throw ErrorException(Error::refusal(Errc::moved, "another object's"));
  }
  int work() { return ++runs; }
  /// No coroutine: it fails before there is a task.
  task<int> begin() {
    ++runs;
    throw ErrorException(Error::refusal(Errc::moved, "another object's"));
  }
  int save() const { return 0; }
  void restore(int) {}
};
template <class T>
task<Result<int>> waiting(T* self, bool answers) {
  co_await yield();
  if (answers) co_return self->pass_on();
  co_return self->fail_on();
}
struct OfCore : Refuser {
  task<Result<int>> wait(bool answers) { return waiting(this, answers); }
  using interface = ebb::interface<"test.RefuserOfCore/1", method<"answer", &OfCore::answer>, method<"fail", &OfCore::fail>,
                                   method<"pass_on", &OfCore::pass_on>, method<"fail_on", &OfCore::fail_on>,
                                   method<"work", &OfCore::work>, method<"wait", &OfCore::wait>, method<"begin", &OfCore::begin>>;
};
struct AtHome : Refuser {
  using policy = single_home;
  task<Result<int>> wait(bool answers) { return waiting(this, answers); }
  using interface = ebb::interface<"test.RefuserAtHome/1", method<"answer", &AtHome::answer>, method<"fail", &AtHome::fail>,
                                   method<"pass_on", &AtHome::pass_on>, method<"fail_on", &AtHome::fail_on>,
                                   method<"work", &AtHome::work>, method<"wait", &AtHome::wait>, method<"begin", &AtHome::begin>>;
};
struct ByKey : Refuser {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 4;
  task<Result<int>> wait(bool answers) { return waiting(this, answers); }
  using interface = ebb::interface<"test.RefuserByKey/1", method<"answer", &ByKey::answer>, method<"fail", &ByKey::fail>,
                                   method<"pass_on", &ByKey::pass_on>, method<"fail_on", &ByKey::fail_on>,
                                   method<"work", &ByKey::work>, method<"wait", &ByKey::wait>, method<"begin", &ByKey::begin>>;
};
struct Copied : Refuser {
  using policy = replicated;
  using interface = ebb::interface<"test.RefuserCopied/1", method<"answer", &Copied::answer>, method<"fail", &Copied::fail>,
                                   method<"pass_on", &Copied::pass_on>, method<"fail_on", &Copied::fail_on>,
                                   method<"work", &Copied::work>>;
};
struct Maker {
  Result<ref<OfCore>> make(Errc code) {
    ++runs;
    return Error(code, "the method's own");
  }
  using interface = ebb::interface<"test.RefuserMaker/1", method<"make", &Maker::make>>;
};

int run(std::function<task<int>()> body) {
  runs = 0;
  return run_cores(2, [&body]() -> task<int> { return ebb::testing::with_clean_end(body()); });
}

template <class T, class Target>
task<void> check_answers(Target where, std::string what) {
  for (const Errc code : {Errc::overloaded, Errc::moved, Errc::not_found, Errc::no_such_method}) {
    runs = 0;
    const auto answer = co_await where.template call<&T::answer>(code);
    EXPECT_TRUE(answer.code() == code && !answer.error().is_refusal()) << what;
    EXPECT_EQ(runs, 1) << what << " " << name(code);
    const auto thrown = co_await where.template call<&T::fail>(code);
    EXPECT_TRUE(thrown.code() == code && !thrown.error().is_refusal()) << what;
    EXPECT_EQ(runs, 2) << what << " " << name(code);
  }
  runs = 0;
  const auto passed = co_await where.template call<&T::pass_on>();
  EXPECT_TRUE(passed.code() == Errc::overloaded && !passed.error().is_refusal()) << what;
  const auto thrown = co_await where.template call<&T::fail_on>();
  EXPECT_TRUE(thrown.code() == Errc::moved && !thrown.error().is_refusal()) << what;
  EXPECT_EQ(runs, 2) << what;
  if constexpr (requires { &T::wait; }) {
    const auto waited = co_await where.template call<&T::wait>(true);
    EXPECT_EQ(waited.code(), Errc::overloaded) << what;
    const auto failed = co_await where.template call<&T::wait>(false);
    EXPECT_EQ(failed.code(), Errc::moved) << what;
    EXPECT_EQ(runs, 4) << what;
    const auto begun = co_await where.template call<&T::begin>();
    EXPECT_TRUE(begun.code() == Errc::moved && !begun.error().is_refusal()) << what;
    EXPECT_EQ(runs, 5) << what;
  }
}

TEST(Attempts, AreNotMadeAgainForWhatAMethodAnswers) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto object = (co_await create<OfCore>()).value();
    co_await check_answers<OfCore>(object.on(kOther).within(200ms), "another node");
    co_await check_answers<OfCore>(object.on(CoreIndex{1}).within(200ms), "another core");
    for (std::uint16_t core = 0; core < 2; ++core) {
      const auto home = (co_await create_at<AtHome>(kFrontEndNode, CoreIndex{core})).value();
      co_await check_answers<AtHome>(home.on_home().within(200ms), "a home");
      NodeTable::instance().learn_home(home.id(), {kOther, CoreIndex{core}, 9});
      co_await check_answers<AtHome>(home.on_home().within(200ms), "a home on another node");
    }
    const auto copies = (co_await create_at<Copied>(kFrontEndNode, CoreIndex{1})).value();
    const auto written = copies.on_home();
    co_await check_answers<Copied>(written.within(200ms), "replicas");
    EXPECT_EQ(link.calls, 3 * 13);
    link.calls = 0;
    detail::set_node_link(nullptr);  // or the partitions would be spread over a node that is none
    const auto store = (co_await create<ByKey>()).value();
    for (int key = 0; key < 8; ++key) co_await check_answers<ByKey>(store.on_key(key).within(200ms), "a key");
    co_return 0;
  }), 0);
}

TEST(Attempts, AreNotMadeAgainForWhatAStepOfAPipelineAnswers) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto maker = (co_await create<Maker>()).value();
    const auto there = maker.on(this_node(), CoreIndex{1}).within(200ms);
    for (const Errc code : {Errc::overloaded, Errc::moved}) {
      runs = 0;
      EXPECT_EQ((co_await there.pipeline<&Maker::make>(code).then<&OfCore::work>().call()).code(), code);
      EXPECT_EQ(runs, 1);
    }
    co_return 0;
  }), 0);
}

TEST(Attempts, AreNotMadeAgainForWhatAMethodAnswersEverywhere) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto object = (co_await create<OfCore>()).value();
    (co_await object.on(CoreIndex{1}).call<&OfCore::work>()).value();
    for (const Errc code : {Errc::not_found, Errc::unavailable, Errc::node_gone, Errc::overloaded, Errc::moved}) {
      runs = 0;
      const platform::Instant begun = platform::Clock::now();
      const auto answer = co_await object.everywhere().within(2s).call<&OfCore::answer>(code);
      EXPECT_EQ(answer.code(), code);
      EXPECT_EQ(answer.error().text(), "the method's own");
      EXPECT_EQ(runs, 2) << "once for each of two nodes, which are one here";
      EXPECT_LT(platform::Clock::now() - begun, 1s);
    }
    co_return 0;
  }), 0);
}

/// A call that its caller has given up goes on until the end of its pause: until no more than `timers` are left, or for a second.
task<void> let_pauses_end(std::size_t timers) {
  for (int i = 0; i < 1000 && Core::current().pending_timers() > timers; ++i) co_await sleep_for(1ms);
}

template <class T, class Target>
task<void> check_refusals(FakeLink* link, Target where, std::string what) {
  const std::size_t timers_before = Core::current().pending_timers();
  link->calls = 0;
  for (int i = 0; i < 3; ++i) link->answers.push_back(Error::refusal(Errc::overloaded, "no room"));
  const auto worked = co_await where.template call<&T::work>();
  EXPECT_TRUE(worked) << what;
  EXPECT_EQ(link->calls, 4) << what;
  link->answers.push_back(Error(Errc::overloaded, "some method's own"));
  const auto own = co_await where.template call<&T::work>();
  EXPECT_EQ(own.code(), Errc::overloaded) << what;
  EXPECT_EQ(link->calls, 5) << what;
  // Time that is over before anything is sent.
  for (const platform::Duration none : {platform::Duration(-1ms), platform::Duration::zero()}) {
    const auto over = co_await where.within(none).template call<&T::work>();
    EXPECT_EQ(over.code(), Errc::deadline_exceeded) << what;
  }
  EXPECT_EQ(link->calls, 5) << what;
  // Refused to the end, and cancelled between two attempts.
  link->answers.push_back(Error::refusal(Errc::overloaded, "no room"));
  link->always = true;
  const auto late = co_await where.within(20ms).template call<&T::work>();
  EXPECT_TRUE(late.code() == Errc::overloaded || late.code() == Errc::deadline_exceeded) << what << " " << name(late.code());
  cancel_source source;
  Core::current().call_after(5ms, [&source] { source.cancel(); });
  const auto cancelled = co_await where.cancelled_by(source.token()).template call<&T::work>();
  EXPECT_EQ(cancelled.code(), Errc::cancelled) << what;
  co_await let_pauses_end(timers_before);
  link->always = false;
  link->answers.clear();
}

TEST(Attempts, AreMadeAgainWhereTheRuntimeTurnsACallAway) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto object = (co_await create<OfCore>()).value();
    co_await check_refusals<OfCore>(&link, object.on(kOther), "a node");
    const auto home = (co_await create<AtHome>()).value();
    NodeTable::instance().learn_home(home.id(), {kOther, CoreIndex{0}, 9});
    co_await check_refusals<AtHome>(&link, home.on_home(), "a home");
    const auto copies = (co_await create<Copied>()).value();
    (co_await copies.call<&Copied::work>()).value();
    NodeTable::instance().learn_home(copies.id(), {kOther, CoreIndex{0}, 9});
    link.answers.push_back(Error::refusal(Errc::moved, "not here"));
    link.calls = 0;
    EXPECT_TRUE(co_await copies.call<&Copied::work>()) << "at the home that the directory names";
    EXPECT_EQ(link.calls, 1);
    co_return 0;
  }), 0);
}

/// A node that leaves and has not met the object cannot tell that it has a home.
TEST(Attempts, AreMadeAtTheNextHomeWhereTheFirstOneLeaves) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto home = (co_await create<AtHome>()).value();
    NodeTable::instance().learn_home(home.id(), {kOther, CoreIndex{0}, 9});
    link.answers.push_back(Error::refusal(Errc::node_gone, "it leaves"));
    EXPECT_TRUE(co_await home.on_home().within(2s).call<&AtHome::work>());
    EXPECT_EQ(runs, 1);
    const auto object = (co_await create<OfCore>()).value();
    link.answers.push_back(Error::refusal(Errc::node_gone, "it leaves"));
    EXPECT_EQ((co_await object.on(kOther).call<&OfCore::work>()).code(), Errc::node_gone) << "there is no other place";
    co_return 0;
  }), 0);
}

/// Where the node is gone, or cannot be reached: the place is looked up anew, and may be the same one until that is given up.
template <class T, class Target>
task<void> check_never_began(FakeLink* link, Target where, std::function<void()> forget, std::string what) {
  const Error nobody = Error::refusal(Errc::node_gone, "cannot connect to node 5; nothing ran");
  for (const int attempts : {1, 3}) {
    forget();
    runs = 0;
    link->calls = 0;
    link->answers.assign(static_cast<std::size_t>(attempts), nobody);
    const auto answer = co_await where.template call<&T::work>();
    EXPECT_TRUE(answer) << what << ": " << answer.error().to_string();
    EXPECT_EQ(runs, 1) << what;
    link->answers.clear();
  }
  // One that may have run has one answer.
  forget();
  runs = 0;
  link->calls = 0;
  link->answers.emplace_back(Errc::node_gone, "node 5 closed its connection");
  const auto lost = co_await where.template call<&T::work>();
  EXPECT_EQ(lost.code(), Errc::node_gone) << what;
  EXPECT_EQ(link->calls, 1) << what;
  EXPECT_EQ(runs, 0) << what;
}

TEST(Attempts, AreMadeAgainWhereACallNeverBegan) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto home = (co_await create<AtHome>()).value();
    const auto move_away = [](ObjectId id) {
      static std::uint32_t epoch = 8;
      NodeTable::instance().learn_home(id, {kOther, CoreIndex{0}, ++epoch});
    };
    co_await check_never_began<AtHome>(&link, home.on_home(), [&] { move_away(home.id()); }, "a home");
    const auto copies = (co_await create<Copied>()).value();
    (co_await copies.call<&Copied::work>()).value();
    const auto written = policy_of<Copied>::route<Copied>(copies.id());
    co_await check_never_began<Copied>(&link, written, [&] { move_away(copies.id()); }, "replicas");
    // The other node is this one: its cores have those partitions that are meant to be there.
    const auto store = (co_await create<ByKey>()).value();
    const detail::ClusterView view = detail::cluster_view();
    int key = 0;
    while (detail::choose_owner(store.id(), policy_of<ByKey>::partition_of<ByKey>(key), view).node != kOther) ++key;
    EXPECT_TRUE(co_await store.on_key(key).call<&ByKey::work>());
    co_await check_never_began<ByKey>(&link, store.on_key(key), [] {}, "a key");
    // A fixed place is the only one.
    const auto object = (co_await create<OfCore>()).value();
    link.answers.push_back(Error::refusal(Errc::node_gone, "cannot connect to node 5; nothing ran"));
    link.calls = 0;
    EXPECT_EQ((co_await object.on(kOther).call<&OfCore::work>()).code(), Errc::node_gone);
    EXPECT_EQ(link.calls, 1);
    co_return 0;
  }), 0);
}

TEST(Attempts, ThatNeverBeganEndWithTheDeadlineOrTheLossOfTheHome) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    link.always = true;
    link.answers.push_back(Error::refusal(Errc::node_gone, "cannot connect to node 5; nothing ran"));
    const auto home = (co_await create_at<AtHome>(kOther, CoreIndex{0})).value();
    const auto late = co_await home.on_home().within(50ms).call<&AtHome::work>();
    EXPECT_EQ(late.code(), Errc::deadline_exceeded);
    EXPECT_NE(late.error().text().find("nothing ran"), std::string::npos) << late.error().text();
    Core::current().call_after(20ms, [&link] { link.left = true; });
    const auto lost = co_await home.on_home().call<&AtHome::work>();
    EXPECT_EQ(lost.code(), Errc::node_gone);
    EXPECT_NE(lost.error().text().find("was lost with its home"), std::string::npos) << lost.error().text();
    EXPECT_EQ(runs, 0);
    co_return 0;
  }), 0);
}

TEST(Attempts, EndWithWhatTheNodeItselfCannotDo) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto object = (co_await create<OfCore>()).value();
    link.answers.push_back(Error::refusal(Errc::moved, "not here"));
    EXPECT_EQ((co_await object.on(kOther).call<&OfCore::work>()).code(), Errc::moved) << "there is no other place";
    link.answers.push_back(Error::refusal(Errc::no_such_method, "it has no such method"));
    const auto missing = co_await object.on(kOther).call<&OfCore::work>();
    EXPECT_NE(missing.error().text().find("\"work\""), std::string::npos) << missing.error().text();
    EXPECT_EQ(link.calls, 2);
    co_return 0;
  }), 0);
}

// --- what cannot be encoded ---

struct Sink {
  task<std::int64_t> take(stream<std::int64_t> values) { co_return (co_await values.next()).value().value_or(0); }
  using interface = ebb::interface<"test.Sink/1", method<"take", &Sink::take>>;
};
struct SinkAtHome : Sink {
  using policy = single_home;
  using interface = ebb::interface<"test.SinkAtHome/1", method<"take", &SinkAtHome::take>>;
};
generator<std::int64_t> numbers() {
  for (std::int64_t i = 0; i < 1000; ++i) co_yield i;
}

struct Noted {
  using policy = replicated;
  int count = 0;
  void note(stream<std::int64_t>) { ++count; }
  int save() const { return count; }
  void restore(int from) { count = from; }
  using interface = ebb::interface<"test.Noted/1", method<"note", &Noted::note>>;
};

TEST(Encoding, ThatFailsIsAnErrorOfTheCall) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    stream<std::int64_t> started = numbers();
    (co_await started.next()).value();
    const auto sink = (co_await create<Sink>()).value();
    const auto there = sink.on(kOther);
    EXPECT_EQ((co_await there.call<&Sink::take>(started)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await there.within(1s).call<&Sink::take>(started)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await there.send<&Sink::take>(started)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await there.pipeline<&Sink::take>(started).call()).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await sink.everywhere().call<&Sink::take>(started)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await sink.everywhere().send<&Sink::take>(started)).code(), Errc::invalid_argument);
    const auto home = (co_await create<SinkAtHome>()).value();
    NodeTable::instance().learn_home(home.id(), {kOther, CoreIndex{0}, 9});
    EXPECT_EQ((co_await home.call<&SinkAtHome::take>(started)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await home.on_home().within(1s).call<&SinkAtHome::take>(started)).code(), Errc::invalid_argument);
    EXPECT_TRUE(co_await home.on_home().send<&SinkAtHome::take>(started));  // nobody hears of it
    const auto noted = (co_await create<Noted>()).value();
    const auto writes = noted.on_home();
    EXPECT_EQ((co_await writes.call<&Noted::note>(started)).code(), Errc::invalid_argument);
    EXPECT_EQ((co_await writes.within(1s).call<&Noted::note>(started)).code(), Errc::invalid_argument);
    EXPECT_TRUE(co_await writes.send<&Noted::note>(started));
    EXPECT_EQ(link.calls, 0);
    EXPECT_EQ(noted->count, 0);
    co_return 0;
  }), 0);
}

}  // namespace
