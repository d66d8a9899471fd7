// All keys at once: a call of every partition of an object, wherever each is by then.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/async/when_all.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/partition_target.h"
#include "ebb/object/ref.h"
#include "ebb/object/signature.h"
#include "ebb/object/target.h"

namespace ebb {

namespace detail {

/// What each partition answered; empty until it has.
template <class R>
using PartitionAnswers = std::vector<std::optional<Result<R>>>;

Error failed_partition(std::size_t partition, const Error& error);

/// That of the lowest partition that has one, which it names.
template <class R>
std::optional<Error> first_error(const PartitionAnswers<R>& answers) {
  for (std::size_t partition = 0; partition < answers.size(); ++partition) {
    if (!*answers[partition]) return failed_partition(partition, answers[partition]->error());
  }
  return std::nullopt;
}

}  // namespace detail

/// Every partition's instance, one call each, kAtOnce of them at a time. A partition that moves meanwhile is called where it is
/// then, so that each runs the method at most once, and exactly once if no error is returned. The calls are no snapshot: others
/// come between. Made by ref::every_partition(). One core; stays valid as long as one likes.
template <class T>
class every_partition_target : public adjustable_target<every_partition_target<T>> {
 public:
  /// Calls under way of one call of all.
  static constexpr std::size_t kAtOnce = 64;

  explicit every_partition_target(ObjectId id) noexcept : id_(id) {}

  /// Runs a method on each and waits for all; results are dropped. An error anywhere is the call's, once all have answered, with
  /// the partition's number; of several that of the lowest. Errors: those of partition_target::call.
  template <auto Member, class... Arguments>
  task<Result<void>> call(Arguments&&... arguments) const {
    return called<Member>(*this, detail::SignatureOf<Member>::store(std::forward<Arguments>(arguments)...));
  }

  /// Every result: that of partition n is the n-th. Errors: those of call().
  template <auto Member, class... Arguments>
  task<Result<std::vector<detail::MethodResult<Member>>>> gather(Arguments&&... arguments) const {
    return gathered<Member>(*this, detail::SignatureOf<Member>::store(std::forward<Arguments>(arguments)...));
  }

  /// All results and `initial` in one, by `combine(accumulated, result)` in the order of partitions. Errors: those of call().
  template <auto Member, class Value, class Combine, class... Arguments>
  task<Result<Value>> reduce(Value initial, Combine combine, Arguments&&... arguments) const {
    return reduced<Member>(gather<Member>(std::forward<Arguments>(arguments)...), std::move(initial), std::move(combine));
  }

 private:
  using adjustable_target<every_partition_target<T>>::options_;

  template <auto Member, class Stored>
  struct Work {
    using R = detail::MethodResult<Member>;
    Work(every_partition_target all, Stored with, std::size_t count) : self(std::move(all)), arguments(std::move(with)), answers(count) {}
    every_partition_target self;
    Stored arguments;
    std::size_t next = 0;
    detail::PartitionAnswers<R> answers;
  };

  template <auto Member, class Stored>
  static task<void> call_some(Work<Member, Stored>* work) {
    while (work->next < work->answers.size()) {
      const std::size_t partition = work->next++;
      Stored copy = work->arguments;
      const auto place = partition_target<T>(work->self.id_, static_cast<std::uint32_t>(partition)).with_options(work->self.options_);
      work->answers[partition].emplace(
          co_await std::apply([&place](auto&... each) { return place.template call<Member>(std::move(each)...); }, copy));
    }
  }

  template <auto Member, class Stored>
  static task<detail::PartitionAnswers<detail::MethodResult<Member>>> ask_all(every_partition_target self, Stored arguments) {
    static_assert(std::is_copy_constructible_v<Stored>, "each partition gets a copy of the arguments");
    self.options_.begin();
    self.options_.begin_trace_if(false);  // one for all of them
    Work<Member, Stored> work(std::move(self), std::move(arguments), policy_of<T>::template count<T>());
    std::vector<task<void>> callers;
    for (std::size_t number = 0; number < std::min(kAtOnce, work.answers.size()); ++number) {
      callers.push_back(call_some<Member, Stored>(&work));
    }
    co_await when_all(std::move(callers));
    co_return std::move(work.answers);
  }

  template <auto Member, class Stored>
  static task<Result<void>> called(every_partition_target self, Stored arguments) {
    const auto answers = co_await ask_all<Member, Stored>(std::move(self), std::move(arguments));
    const std::optional<Error> failed = detail::first_error(answers);
    if (failed) co_return *failed;
    co_return Result<void>();
  }

  template <auto Member, class Stored>
  static task<Result<std::vector<detail::MethodResult<Member>>>> gathered(every_partition_target self, Stored arguments) {
    static_assert(!std::is_void_v<detail::MethodResult<Member>>, "a method that gives nothing is called, and not gathered");
    auto answers = co_await ask_all<Member, Stored>(std::move(self), std::move(arguments));
    std::optional<Error> failed = detail::first_error(answers);
    if (failed) co_return *std::move(failed);
    std::vector<detail::MethodResult<Member>> all;
    for (auto& answer : answers) all.push_back(std::move(*answer).value());
    co_return std::move(all);
  }

  template <auto Member, class Value, class Combine>
  static task<Result<Value>> reduced(task<Result<std::vector<detail::MethodResult<Member>>>> work, Value value, Combine combine) {
    task<Result<std::vector<detail::MethodResult<Member>>>> gathering = std::move(work);
    auto all = co_await std::move(gathering);
    if (!all) co_return std::move(all).error();
    for (auto& each : *all) value = combine(std::move(value), std::move(each));
    co_return std::move(value);
  }

  ObjectId id_;
};

template <class T>
every_partition_target<T> ref<T>::every_partition() const noexcept {
  static_assert(detail::kSpreadByKey<T>, "objects of this kind have no partitions: `object.everywhere()` means all representatives");
  return every_partition_target<T>(id_);
}

}  // namespace ebb
