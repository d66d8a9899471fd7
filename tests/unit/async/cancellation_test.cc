#include "ebb/async/cancellation.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <exception>
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

/// Started at once, and destroyed by whoever holds it.
struct Frame {
  struct promise_type {
    Frame get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
Frame wait_in_frame(cancel_token token) { co_await token.cancelled(); }

TEST(Cancellation, ForgetsACoroutineThatIsDestroyedWhileItWaits) {
  int called = 0;
  std::optional<cancel_source> source(std::in_place);
  std::optional<cancel_callback> before, after;
  before.emplace(source->token(), [&called] { ++called; });
  const Frame frame = wait_in_frame(source->token());
  after.emplace(source->token(), [&called] { ++called; });
  const Frame outlives = wait_in_frame(source->token());
  frame.handle.destroy();
  after.reset();
  outlives.handle.destroy();
  // Outside a loop, where whoever were still on the list could not be resumed.
  source->cancel();
  EXPECT_EQ(called, 1);
  before.reset();
  source.emplace();
  const Frame last = wait_in_frame(source->token());
  source.reset();
  last.handle.destroy();
}

}  // namespace
