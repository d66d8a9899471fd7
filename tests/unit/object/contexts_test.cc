// Methods that block, called by so many that a core's contexts would not do.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/stream_source.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using test::FakeLink;
using test::kOther;

struct Blocker {
  static inline bool open = false;
  static inline std::size_t begun = 0;
  int wait() {
    ++begun;
    block_on([]() -> task<> {
      while (!open) co_await yield();
    }());
    return 1;
  }
  int look() const { return 2; }
  using interface = ebb::interface<"test.Blocker/1", method<"wait", &Blocker::wait>, method<"look", &Blocker::look>>;
};

task<void> wait_there(ref<Blocker> object, std::size_t* waited) {
  co_await yield();  // an event of its own, which blocks
  const auto answer = co_await object.on(kOther, CoreIndex{0}).within(60s).call<&Blocker::wait>();
  EXPECT_TRUE(answer) << answer.error().to_string();
  if (answer) ++*waited;
}

task<Result<Bytes>> look_from(NodeId caller, ref<Blocker> object) {
  detail::CallOrigin origin;
  origin.caller = caller;
  return detail::serve_call(object.id(), CoreIndex{0}, Blocker::interface::method_id<&Blocker::look>(), {}, origin);
}

task<int> call_all(std::size_t calls) {
  Blocker::begun = 0;
  Blocker::open = false;
  FakeLink link;
  link.caller = kOther;
  const auto object = (co_await create<Blocker>()).value();
  object->look();  // calls find the representative
  Scope scope;
  std::size_t waited = 0;
  for (std::size_t i = 0; i < calls; ++i) scope.spawn(wait_there(object, &waited));
  while (static_cast<std::size_t>(link.calls) < calls) co_await yield();
  EXPECT_GT(Blocker::begun, Context::kMaxContexts / 2);
  EXPECT_LT(Blocker::begun, Context::kMaxContexts - 32) << "what is under way may need contexts too";

  const auto refused = co_await look_from(kOther, object);
  EXPECT_TRUE(refused.code() == Errc::overloaded && refused.error().is_refusal());
  EXPECT_TRUE(co_await look_from(this_node(), object)) << "what blocks may wait for it";
  detail::CallOrigin origin;
  origin.caller = kOther;
  Bytes handle = detail::encoded(std::tuple<std::uint64_t>(77)).value();
  const auto runtime = co_await detail::serve_call(detail::kStreamService.id(), CoreIndex{0},
                                                   detail::StreamService::interface::method_id<&detail::StreamService::pull>(),
                                                   std::move(handle), origin);
  EXPECT_EQ(runtime.code(), Errc::no_such_object) << "of the runtime: the stream, and no refusal";

  Blocker::open = true;
  co_await scope.join();
  EXPECT_EQ(waited, calls);
  EXPECT_TRUE(co_await look_from(kOther, object));
  co_return 0;
}

TEST(Contexts, AreNotUsedUpByCallsFromOtherNodesWhichWaitTheirTurn) {
  EXPECT_EQ(run_cores(1, [] { return ebb::testing::with_clean_end(call_all(Context::kMaxContexts + 200)); }), 0);
}

}  // namespace
