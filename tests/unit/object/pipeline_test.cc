#include "ebb/object/pipeline.h"

#include <gtest/gtest.h>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Counted {
  std::int64_t value = 0;
  std::int64_t add(std::int64_t amount) { return value += amount; }
};
struct Account : Counted {
  task<void> wait() { co_await sleep_for(50ms); }
  using interface = ebb::interface<"test.Account/1", method<"add", &Account::add>, method<"wait", &Account::wait>>;
};

struct Bank {
  int opened = 0;
  task<Result<ref<Account>>> open(std::int32_t number) {
    if (number < 0) co_return Error(Errc::invalid_argument, "no such number");
    ++opened;
    co_return co_await create<Account>();
  }
  task<ref<Account>> none() { co_return ref<Account>(); }
  int count() const { return opened; }
  using interface = ebb::interface<"test.Bank/1", method<"open", &Bank::open>, method<"none", &Bank::none>,
                                   method<"count", &Bank::count>>;
};

void run(task<int> (*test)()) { EXPECT_EQ(run_cores(2, [test] { return ebb::testing::with_clean_end(test()); }), 0); }

TEST(Pipeline, RunsEachStepOnWhatTheLastOneGave) {
  run([]() -> task<int> {
    const auto bank = (co_await create<Bank>()).value();
    const auto there = bank.on(this_node(), CoreIndex{1});
    EXPECT_EQ((co_await there.pipeline<&Bank::open>(1).then<&Account::add>(5).call()).value(), 5);
    EXPECT_EQ((co_await there.pipeline<&Bank::open>(1).then<&Account::add>(7).call()).value(), 7);
    EXPECT_TRUE(co_await there.pipeline<&Bank::open>(1).then<&Account::wait>().call());
    EXPECT_EQ((co_await there.pipeline<&Bank::count>().call()).value(), 3);
    co_return 0;
  });
}

TEST(Pipeline, EndsWithTheFirstErrorAndRunsNothingAfterIt) {
  run([]() -> task<int> {
    const auto bank = (co_await create<Bank>()).value();
    const auto there = bank.on(this_node(), CoreIndex{1});
    const auto refused = co_await there.pipeline<&Bank::open>(-1).then<&Account::add>(5).call();
    EXPECT_EQ(refused.code(), Errc::invalid_argument);
    EXPECT_EQ(refused.error().text(), "no such number");
    EXPECT_EQ((co_await there.pipeline<&Bank::none>().then<&Account::add>(5).call()).code(), Errc::no_such_object);
    // A step is a call of an application's object: pipelines do not nest.
    detail::PipelineStep first{Bank::interface::method_id<&Bank::count>(), {}};
    const auto steps = std::tuple(bank.id(), std::vector<detail::PipelineStep>(1, first));
    std::vector<detail::PipelineStep> nested(1);
    nested.front() = {detail::PipelineService::interface::method_id<&detail::PipelineService::run>(), wire::encode(steps)};
    const auto service = detail::kPipelineService.on(CoreIndex{1});
    EXPECT_EQ((co_await service.call<&detail::PipelineService::run>(detail::kPipelineService.id(), nested)).code(),
              Errc::invalid_argument);
    EXPECT_EQ((co_await there.within(5ms).pipeline<&Bank::open>(1).then<&Account::wait>().call()).code(),
              Errc::deadline_exceeded);
    co_return 0;
  });
}

struct Safe {
  using policy = single_home;
  std::int64_t count() const { return 1; }
  using interface = ebb::interface<"test.Safe/1", method<"count", &Safe::count>>;
};
struct Registry {
  ref<Safe> entry;
  void enter(ref<Safe> safe) { entry = safe; }
  ref<Safe> find() const { return entry; }
  using interface = ebb::interface<"test.Registry/1", method<"enter", &Registry::enter>, method<"find", &Registry::find>>;
};

/// A step's object that this node has only heard of.
TEST(Pipeline, FindsTheHomeOfAnObjectThatItsNodeHasNotMet) {
  run([]() -> task<int> {
    test::FakeLink link;
    link.answers.push_back(Error(Errc::application_error, "asked there"));
    const NewObject elsewhere{std::string(Safe::interface::name), Safe::interface::id, std::string(single_home::name), test::kOther};
    const auto record = (co_await NodeTable::instance().directory().create(elsewhere)).value();
    const auto registry = (co_await create<Registry>()).value();
    const auto here = registry.on(CoreIndex{0});
    EXPECT_TRUE(co_await here.call<&Registry::enter>(wire::decode<ref<Safe>>(wire::encode(record.id)).value()));
    const auto counted = co_await registry.on(this_node(), CoreIndex{0}).pipeline<&Registry::find>().then<&Safe::count>().call();
    EXPECT_EQ(counted.code(), Errc::application_error);
    EXPECT_EQ(counted.error().text(), "asked there");
    EXPECT_EQ(link.calls, 1);
    co_return 0;
  });
}

}  // namespace
