// What a call ends with whose deadline has passed, where tokens have fired for that, or are fired by somebody else.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <utility>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/local_call.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using test::FakeLink;
using test::kOther;

struct Quitter {
  /// Hears of the deadline before its caller does, whose core is kept busy.
  Result<int> quit_late(const call_context& context) {
    while (platform::Clock::now() <= context.deadline) {
    }
    return quit();
  }
  Result<int> quit() { return Error(Errc::cancelled, "the method's own"); }
  void note() {}
  using interface = ebb::interface<"test.Quitter/1", method<"quit_late", &Quitter::quit_late>, method<"quit", &Quitter::quit>,
                                   method<"note", &Quitter::note>>;
};
struct QuitterAtHome : Quitter {
  using policy = single_home;
  using interface = ebb::interface<"test.QuitterAtHome/1", method<"quit_late", &QuitterAtHome::quit_late>,
                                   method<"note", &QuitterAtHome::note>>;
};

int run(std::function<task<int>()> body) {
  return run_cores(2, [&body]() -> task<int> { return ebb::testing::with_clean_end(body()); });
}

TEST(Deadline, IsWhyACallWasCancelledOnceItHasPassed) {
  const platform::Instant now = platform::Clock::now();
  const Error cancelled(Errc::cancelled, "the caller cancelled the call; it may or may not have run");
  EXPECT_EQ(detail::for_its_deadline(cancelled, now).code(), Errc::deadline_exceeded);
  EXPECT_EQ(detail::for_its_deadline(cancelled, now + 1h).text(), cancelled.text());
  EXPECT_EQ(detail::for_its_deadline(cancelled, kNoDeadline).code(), Errc::cancelled);
  EXPECT_EQ(detail::for_its_deadline(Error(Errc::node_gone, ""), now).code(), Errc::node_gone);
  const Error unsent = detail::for_its_deadline(Error(Errc::cancelled, "the caller cancelled the call; nothing ran"), now);
  EXPECT_TRUE(unsent.code() == Errc::deadline_exceeded && unsent.text().ends_with("; nothing ran")) << unsent.text();
}

task<void> expect_codes(node_target<Quitter> where, Errc code) {
  EXPECT_EQ((co_await where.call<&Quitter::note>()).code(), code);
  EXPECT_EQ((co_await where.send<&Quitter::note>()).code(), code);
}

TEST(Deadline, ThatHasPassedCountsMoreThanTheTokenThatItFires) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto object = (co_await create<Quitter>()).value();
    const auto home = (co_await create_at<QuitterAtHome>(kFrontEndNode, CoreIndex{0})).value();
    cancel_source source;
    call_context context;
    context.cancellation = source.token();
    source.cancel();
    for (const auto& [left, code] : {std::pair(platform::Duration(-1ns), Errc::deadline_exceeded),
                                     std::pair(platform::Duration(1h), Errc::cancelled)}) {
      context.deadline = platform::Clock::now() + left;
      EXPECT_EQ((co_await object.on(CoreIndex{0}).under(context).call<&Quitter::note>()).code(), code);
      EXPECT_EQ((co_await home.on_home().under(context).call<&QuitterAtHome::note>()).code(), code);
      co_await expect_codes(object.on(kOther, CoreIndex{0}).under(context), code);
    }
    EXPECT_EQ(link.calls, 0);
    co_return 0;
  }), 0);
}

TEST(Deadline, ThatHasPassedCountsMoreThanWhatACancelledMethodAnswers) {
  EXPECT_EQ(run([]() -> task<int> {
    FakeLink link;
    const auto object = (co_await create<Quitter>()).value();
    const auto home = (co_await create_at<QuitterAtHome>(kFrontEndNode, CoreIndex{0})).value();
    EXPECT_EQ((co_await object.on(CoreIndex{0}).within(2ms).call<&Quitter::quit_late>()).code(), Errc::deadline_exceeded);
    EXPECT_EQ((co_await object.on(kOther, CoreIndex{0}).within(2ms).call<&Quitter::quit_late>()).code(), Errc::deadline_exceeded);
    EXPECT_EQ((co_await home.on_home().within(2ms).call<&QuitterAtHome::quit_late>()).code(), Errc::deadline_exceeded);
    const auto here = co_await object.on(CoreIndex{0}).within(1h).call<&Quitter::quit>();
    EXPECT_TRUE(here.code() == Errc::cancelled && here.error().text() == "the method's own");
    const auto there = co_await object.on(kOther, CoreIndex{0}).within(1h).call<&Quitter::quit>();
    EXPECT_TRUE(there.code() == Errc::cancelled && there.error().text() == "the method's own");
    co_return 0;
  }), 0);
}

}  // namespace
