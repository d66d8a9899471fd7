#include "ebb/async/cancellation.h"

#include <gtest/gtest.h>

#include <optional>

#include "ebb/async.h"

namespace {

using namespace ebb;

task<void> wait_for(cancel_token token, std::optional<bool>* heard) { *heard = co_await token.cancelled(); }

TEST(Cancellation, ReachesWhoeverLooksListensOrWaits) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    cancel_source source;
    const cancel_token token = source.token();
    std::optional<bool> heard;
    int called = 0;
    const cancel_callback callback(token, [&called] { ++called; });
    Scope scope;
    scope.spawn(wait_for(token, &heard));
    co_await yield();
    EXPECT_FALSE(token.is_cancelled());
    EXPECT_TRUE(token.can_be_cancelled());
    source.cancel();
    source.cancel();
    EXPECT_TRUE(token.is_cancelled());
    EXPECT_EQ(called, 1);
    EXPECT_EQ(heard, std::nullopt) << "a coroutine is resumed by the loop";
    co_await scope.join();
    EXPECT_EQ(heard, true);
    co_return 0;
  }), 0);
}

TEST(Cancellation, IsSeenByTokensAndCallbacksThatComeLate) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    cancel_source source;
    source.cancel();
    int called = 0;
    const cancel_callback callback(source.token(), [&called] { ++called; });
    EXPECT_EQ(called, 1);
    EXPECT_TRUE(co_await source.token().cancelled());
    co_return 0;
  }), 0);
}

TEST(Cancellation, LetsWaitersGoWhenItCanComeNoMore) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    std::optional<bool> heard;
    int called = 0;
    Scope scope;
    cancel_token token;
    EXPECT_FALSE(co_await token.cancelled()) << "a token of no source";
    {
      cancel_source source;
      token = source.token();
      const cancel_callback gone(token, [&called] { ++called; });
      scope.spawn(wait_for(token, &heard));
      co_await yield();
    }
    co_await scope.join();
    EXPECT_EQ(heard, false);
    EXPECT_EQ(called, 0);
    EXPECT_FALSE(token.can_be_cancelled());
    co_return 0;
  }), 0);
}

TEST(Cancellation, ForgetsACallbackThatHasEnded) {
  cancel_source source;
  int called = 0;
  { const cancel_callback callback(source.token(), [&called] { ++called; }); }
  source.cancel();
  EXPECT_EQ(called, 0);
}

}  // namespace
