// The checker of histories: that it accepts what one object could have answered, and nothing else.
#include "tests/sim/linearizability.h"

#include <gtest/gtest.h>

#include "tests/sim/specifications.h"

namespace ebb::sim {
namespace {

using Registers = std::vector<Attempt<RegisterSpecification>>;
using Counters = std::vector<Attempt<CounterSpecification>>;
using Records = std::vector<Attempt<RecordSpecification>>;
using Action = RecordSpecification::Action;

Attempt<RegisterSpecification> write(std::uint64_t value, std::int64_t begin, std::int64_t end) { return {{true, value}, value, begin, end}; }
Attempt<RegisterSpecification> read(std::uint64_t value, std::int64_t begin, std::int64_t end) { return {{}, value, begin, end}; }
Attempt<RegisterSpecification> lost_write(std::uint64_t value, std::int64_t begin) { return {{true, value}, std::nullopt, begin, 0}; }
Verdict check(Registers all) { return check_linearizable(RegisterSpecification{}, std::move(all)); }

Attempt<CounterSpecification> add(std::uint64_t life, std::uint64_t count, std::int64_t begin, std::int64_t end) {
  return {{}, CounterSpecification::Output{life, count}, begin, end};
}
Attempt<CounterSpecification> lost_add(std::int64_t begin) { return {{}, std::nullopt, begin, 0}; }
Verdict check(const Counters& all, bool ordered) {
  CounterSpecification counter;
  counter.ordered = ordered;
  for (const auto& each : all) {
    if (each.output) counter.lives.insert(each.output->life);
  }
  return check_linearizable(counter, all);
}

TEST(Linearizability, of_no_operations_holds) { EXPECT_EQ(check(Registers{}), Verdict::linearizable); }

TEST(Linearizability, lets_a_read_see_a_write_beside_it_or_not) {
  EXPECT_EQ(check({write(1, 0, 10), read(1, 2, 4)}), Verdict::linearizable);
  EXPECT_EQ(check({write(1, 0, 10), read(0, 2, 4)}), Verdict::linearizable);
}

TEST(Linearizability, forbids_a_read_that_misses_an_answered_write) {
  EXPECT_EQ(check({write(1, 0, 1), read(0, 2, 3)}), Verdict::not_linearizable);
}

TEST(Linearizability, forbids_a_read_of_what_was_not_yet_written) {
  EXPECT_EQ(check({read(1, 0, 1), write(1, 2, 3)}), Verdict::not_linearizable);
}

TEST(Linearizability, forbids_the_new_value_and_then_the_old_one) {
  EXPECT_EQ(check({write(1, 0, 100), read(1, 10, 20), read(0, 30, 40)}), Verdict::not_linearizable);
  EXPECT_EQ(check({write(1, 0, 100), read(1, 10, 20), read(0, 15, 40)}), Verdict::linearizable);
}

TEST(Linearizability, goes_back_where_the_first_choice_was_wrong) {
  EXPECT_EQ(check({write(1, 0, 10), write(2, 0, 10), write(3, 0, 10), read(2, 11, 12)}), Verdict::linearizable);
  EXPECT_EQ(check({write(1, 0, 10), write(2, 0, 10), read(1, 11, 12), read(2, 13, 14)}), Verdict::not_linearizable);
}

TEST(Linearizability, lets_operations_without_an_answer_happen_late_or_never) {
  EXPECT_EQ(check({lost_write(1, 0), read(0, 5, 6), read(1, 1'000, 1'001)}), Verdict::linearizable);
  EXPECT_EQ(check({lost_write(1, 0), read(0, 5, 6)}), Verdict::linearizable);
}

TEST(Linearizability, lets_operations_without_an_answer_happen_once_only_and_not_before_they_begin) {
  EXPECT_EQ(check({lost_write(1, 0), read(1, 5, 6), write(2, 7, 8), read(1, 9, 10)}), Verdict::not_linearizable);
  EXPECT_EQ(check({read(1, 0, 1), lost_write(1, 2)}), Verdict::not_linearizable);
}

TEST(Linearizability, counts_lost_operations_that_are_missing_from_the_sum) {
  EXPECT_EQ(check({add(1, 1, 0, 1), lost_add(2), add(1, 3, 5, 6)}, true), Verdict::linearizable);
  EXPECT_EQ(check({add(1, 1, 0, 1), add(1, 3, 5, 6)}, true), Verdict::not_linearizable);
  EXPECT_EQ(check({add(1, 1, 0, 1), lost_add(2), add(1, 4, 5, 6)}, true), Verdict::not_linearizable);
}

TEST(Linearizability, forbids_the_same_count_twice) {
  EXPECT_EQ(check({add(1, 1, 0, 9), add(1, 1, 0, 9)}, true), Verdict::not_linearizable);
}

TEST(Linearizability, lets_a_lost_state_begin_again_but_not_come_back) {
  EXPECT_EQ(check({add(1, 1, 0, 1), add(2, 1, 2, 3), add(2, 2, 4, 5)}, true), Verdict::linearizable);
  EXPECT_EQ(check({add(1, 1, 0, 1), add(2, 1, 2, 3), add(1, 2, 4, 5)}, true), Verdict::not_linearizable);
  EXPECT_EQ(check({add(1, 1, 0, 1), add(2, 1, 2, 3), add(1, 2, 4, 5)}, false), Verdict::not_linearizable);
  EXPECT_EQ(check({add(2, 1, 0, 1), add(1, 1, 2, 3)}, true), Verdict::not_linearizable);
  EXPECT_EQ(check({add(2, 1, 0, 1), add(1, 1, 2, 3)}, false), Verdict::linearizable);
}

TEST(Linearizability, lets_the_first_operation_of_a_new_life_be_one_that_was_lost) {
  EXPECT_EQ(check({add(1, 1, 0, 1), lost_add(2), add(2, 2, 3, 4)}, true), Verdict::linearizable);
}

TEST(Linearizability, gives_each_change_of_a_record_to_one_only) {
  const RecordSpecification record;
  const auto re_home = [](std::uint32_t node, RecordSpecification::Output output) {
    return Attempt<RecordSpecification>{{Action::re_home, 1, node}, output, 2, 9};
  };
  const Attempt<RecordSpecification> create{{Action::create, 0, 7}, RecordSpecification::Output{{1, 7}, true}, 0, 1};
  EXPECT_EQ(check_linearizable(record, Records{create, re_home(8, {{2, 8}, true}), re_home(9, {{2, 8}, false})}), Verdict::linearizable);
  EXPECT_EQ(check_linearizable(record, Records{create, re_home(8, {{2, 8}, true}), re_home(9, {{2, 9}, true})}), Verdict::not_linearizable);
  const Attempt<RecordSpecification> remove{{Action::remove, 0, 0}, RecordSpecification::Output{{}, true}, 10, 11};
  const Attempt<RecordSpecification> find{{Action::find, 0, 0}, RecordSpecification::Output{{2, 8}, false}, 12, 13};
  EXPECT_EQ(check_linearizable(record, Records{create, re_home(8, {{2, 8}, true}), remove, find}), Verdict::not_linearizable);
}

TEST(Linearizability, finds_the_order_of_a_long_history_in_a_step_an_operation) {
  Counters all;
  CounterSpecification counter;
  counter.lives = {1};
  for (std::int64_t at = 0; at < 500; ++at) all.push_back(add(1, static_cast<std::uint64_t>(at) + 1, at * 10, at * 10 + 35));
  EXPECT_EQ(check_linearizable(counter, all, 501), Verdict::linearizable);
}

TEST(Linearizability, does_not_confuse_many_lost_operations_with_many_choices) {
  Counters all;
  CounterSpecification counter;
  counter.lives = {1};
  for (std::int64_t at = 0; at < 40; ++at) all.push_back(lost_add(at));
  all.push_back(add(1, 42, 100, 101));
  EXPECT_EQ(check_linearizable(counter, all, 1'000), Verdict::not_linearizable);
}

TEST(Linearizability, knows_what_a_name_may_have) {
  using Names = std::vector<Attempt<NameSpecification>>;
  using Wanted = NameSpecification::Action;
  NameSpecification name;
  name.ids = {7, 8};
  const Attempt<NameSpecification> create{{Wanted::create, 0}, NameSpecification::Output{7, true}, 0, 1};
  const Attempt<NameSpecification> lost{{Wanted::create, 0}, std::nullopt, 0, 0};
  const Attempt<NameSpecification> taken{{Wanted::create, 0}, NameSpecification::Output{0, false}, 2, 3};
  const Attempt<NameSpecification> found{{Wanted::find, 0}, NameSpecification::Output{7, true}, 4, 5};
  const Attempt<NameSpecification> ended{{Wanted::destroy, 7}, NameSpecification::Output{7, true}, 6, 7};
  const Attempt<NameSpecification> ended_too{{Wanted::destroy, 7}, NameSpecification::Output{7, true}, 7, 8};
  const Attempt<NameSpecification> found_late{{Wanted::find, 0}, NameSpecification::Output{7, true}, 8, 9};
  const Attempt<NameSpecification> other{{Wanted::create, 0}, NameSpecification::Output{8, true}, 2, 3};
  EXPECT_EQ(check_linearizable(name, Names{create, taken, found, ended}), Verdict::linearizable);
  EXPECT_EQ(check_linearizable(name, Names{lost, taken, found, ended}), Verdict::linearizable);
  EXPECT_EQ(check_linearizable(name, Names{create, ended, ended_too}), Verdict::linearizable);
  EXPECT_EQ(check_linearizable(name, Names{ended_too}), Verdict::not_linearizable);
  EXPECT_EQ(check_linearizable(name, Names{create, ended, found_late}), Verdict::not_linearizable);
  EXPECT_EQ(check_linearizable(name, Names{create, other}), Verdict::not_linearizable);
  EXPECT_EQ(check_linearizable(name, Names{taken}), Verdict::not_linearizable);
}

TEST(Linearizability, says_when_it_gave_up) {
  Registers all;
  for (std::uint64_t value = 1; value <= 16; ++value) all.push_back(write(value, 0, 10));
  all.push_back(read(99, 11, 12));
  EXPECT_EQ(check_linearizable(RegisterSpecification{}, all, 1'000), Verdict::undecided);
}

}  // namespace
}  // namespace ebb::sim
