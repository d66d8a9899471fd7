// Every representative of an object at once: broadcasts, reductions, gathering and a barrier, along trees over the nodes and then
// their cores.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/hash.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/collective.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/operations.h"
#include "ebb/object/ref.h"
#include "ebb/object/target.h"
#include "ebb/wire/codec.h"

namespace ebb {

/// What came of a call of every representative that gives a value.
template <class Value>
struct everywhere_result {
  Value value;
  participation who;
};

/// One representative's result.
template <class R>
struct result_from {
  NodeId node = kNoNode;
  CoreIndex core{};
  R value;
};

namespace detail {

Error undecodable_result(NodeId node);
Error incomplete(const participation& who);

/// The value if nobody was lost.
template <class Value>
task<Result<Value>> whole(task<Result<everywhere_result<Value>>> work) {
  task<Result<everywhere_result<Value>>> running = std::move(work);
  auto all = co_await std::move(running);
  if (!all) co_return std::move(all).error();
  if (!all->who.complete()) co_return incomplete(all->who);
  co_return std::move(all->value);
}

/// Folds what `Member` gives by Operation, which both ends know by name.
template <class T, auto Member, class Operation>
struct Fold {
  using R = MethodResult<Member>;
  static Result<Bytes> run(std::vector<Bytes> parts) {
    std::optional<R> folded;
    for (const Bytes& part : parts) {
      auto value = wire::decode<R>(part);
      if (!value) return undecodable_result(kNoNode);
      if (folded) {
        folded = Operation()(*std::move(folded), *std::move(value));
      } else {
        folded = *std::move(value);
      }
    }
    return wire::encode(*folded);
  }
  static constexpr FoldOperation operation{
      Operation::name, fnv1a(Operation::name, T::interface::template method_id<Member>()), &run};
  static inline const FoldRegistration entry{operation};
};

}  // namespace detail

/// The representatives of an object on all nodes. What takes part is each one that exists on a member of the cluster when
/// the call reaches it, at most once; they run at the same time. Lost nodes end nothing: those that a lost one would have asked
/// are asked by another, and `participation` names it. Made by ref::everywhere(). One core; stays valid as long as one likes.
template <class T>
class everywhere_target : public adjustable_target<everywhere_target<T>> {
 public:
  explicit everywhere_target(ObjectId id) noexcept : id_(id) {
    static_assert(!detail::is_exclusive<policy_of<T>>(),
                  "objects of this kind answer from one place, or by key: there is nothing to call everywhere");
  }

  /// Also the cores that have no representative yet: it is made there.
  everywhere_target every_core() const {
    everywhere_target result = *this;
    result.every_core_ = true;
    return result;
  }
  /// Runs a method on each and waits for all; results are dropped. An error anywhere is the call's, once all have answered.
  /// Errors besides: no_such_object (nobody was asked), deadline_exceeded, cancelled, overloaded, interface_mismatch (it is
  /// no T, or nodes are of different builds).
  template <auto Member, class... Arguments>
  task<Result<participation>> call(Arguments&&... arguments) const {
    return participants(*this, detail::kMethodLabel<T, Member>, collective<Member>(detail::CollectiveWork::call, std::forward<Arguments>(arguments)...));
  }

  /// The same without an answer: the value says that the call is on its way. Nobody notices a node that is lost meanwhile, nor
  /// those that it would have told.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments&&... arguments) const {
    return detail::send_collective(collective<Member>(detail::CollectiveWork::call, std::forward<Arguments>(arguments)...),
                                   detail::kMethodLabel<T, Member>, options_);
  }

  /// Every result, ordered by node and core.
  template <auto Member, class... Arguments>
  task<Result<everywhere_result<std::vector<result_from<detail::MethodResult<Member>>>>>> gather(Arguments&&... arguments) const {
    return gathered<Member>(*this, collective<Member>(detail::CollectiveWork::gather, std::forward<Arguments>(arguments)...));
  }

  /// All results and `initial` in one. A named operation (operations.h) folds them on their way, in no particular order; any
  /// other, `combine(accumulated, result)`, on the calling core, in the order of nodes and cores.
  template <auto Member, class Value, class Combine, class... Arguments>
  task<Result<everywhere_result<Value>>> reduce(Value initial, Combine combine, Arguments&&... arguments) const {
    using R = detail::MethodResult<Member>;
    static_assert(std::is_same_v<Value, R> || !named_operation<Combine, R>,
                  "a reduction by a named operation folds results on their way: its initial value has the type of the results");
    if constexpr (named_operation<Combine, R>) {
      static_cast<void>(&detail::Fold<T, Member, Combine>::entry);
      Result<detail::Collective> wanted = collective<Member>(detail::CollectiveWork::fold, std::forward<Arguments>(arguments)...);
      if (wanted) wanted->operation = detail::Fold<T, Member, Combine>::operation.id;
      return folded<Member, Combine>(*this, std::move(initial), std::move(wanted));
    } else {
      return combined<Member>(*this, std::move(initial), std::move(combine),
                              collective<Member>(detail::CollectiveWork::gather, std::forward<Arguments>(arguments)...));
    }
  }

  /// Waits, on each core that has a representative, until no counted call of the object is under way there (counted as
  /// destroy counts: not what was begun through `->`). What had begun anywhere before the barrier reached it has so ended.
  task<Result<participation>> barrier() const {
    static_cast<void>(&detail::Registered<T>::entry);
    detail::Collective wanted;
    wanted.object = id_;
    wanted.interface_id = T::interface::id;
    wanted.work = detail::CollectiveWork::barrier;
    return participants(*this, kBarrier, std::move(wanted));
  }

 private:
  using adjustable_target<everywhere_target<T>>::options_;

  /// As spans name it.
  static constexpr detail::MethodLabel kBarrier{fnv1a("barrier", T::interface::id), T::interface::name, "barrier"};

  template <auto Member, class... Arguments>
  Result<detail::Collective> collective(detail::CollectiveWork work, Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    static_cast<void>(&detail::Registered<T>::entry);
    Result<Bytes> bytes = detail::encoded(Shape::store(std::forward<Arguments>(arguments)...));
    if (!bytes) return std::move(bytes).error();
    return detail::Collective{id_,  T::interface::id, T::interface::template method_id<Member>(), 0, work, every_core_,
                              *std::move(bytes)};
  }

  static task<Result<participation>> participants(everywhere_target self, detail::MethodLabel label,
                                                 Result<detail::Collective> wanted) {
    auto answer = co_await detail::run_collective(std::move(wanted), label, self.options_);
    if (!answer) co_return std::move(answer).error();
    co_return std::move(answer->who);
  }

  template <auto Member, class R = detail::MethodResult<Member>>
  static task<Result<everywhere_result<std::vector<result_from<R>>>>> gathered(everywhere_target self,
                                                                                Result<detail::Collective> wanted) {
    auto answer = co_await detail::run_collective(std::move(wanted), detail::kMethodLabel<T, Member>, self.options_);
    if (!answer) co_return std::move(answer).error();
    everywhere_result<std::vector<result_from<R>>> all{{}, std::move(answer->who)};
    for (const detail::Gathered& each : answer->gathered) {
      auto value = wire::decode<R>(each.result);
      if (!value) co_return detail::undecodable_result(each.node);
      all.value.push_back({each.node, each.core, *std::move(value)});
    }
    co_return std::move(all);
  }

  template <auto Member, class Value, class Combine>
  static task<Result<everywhere_result<Value>>> combined(everywhere_target self, Value value, Combine combine,
                                                         Result<detail::Collective> wanted) {
    auto all = co_await gathered<Member>(self, std::move(wanted));
    if (!all) co_return std::move(all).error();
    for (auto& each : all->value) value = combine(std::move(value), std::move(each.value));
    co_return everywhere_result<Value>{std::move(value), std::move(all->who)};
  }

  template <auto Member, class Combine, class Value>
  static task<Result<everywhere_result<Value>>> folded(everywhere_target self, Value value, Result<detail::Collective> wanted) {
    auto answer = co_await detail::run_collective(std::move(wanted), detail::kMethodLabel<T, Member>, self.options_);
    if (!answer) co_return std::move(answer).error();
    if (!answer->folded.empty()) {
      auto others = wire::decode<Value>(answer->folded);
      if (!others) co_return detail::undecodable_result(kNoNode);
      // An operation that throws ends the call alike, whoever folds.
      std::exception_ptr thrown;
      try {
        value = Combine()(std::move(value), *std::move(others));
      } catch (...) {
        thrown = std::current_exception();
      }
      if (thrown) co_return detail::to_error(std::move(thrown)).as_answer();
    }
    co_return everywhere_result<Value>{std::move(value), std::move(answer->who)};
  }

  ObjectId id_;
  bool every_core_ = false;
};

template <class T>
everywhere_target<T> ref<T>::everywhere() const noexcept {
  return everywhere_target<T>(id_);
}

template <class T>
template <auto Member, class Value, class Combine>
task<Result<Value>> ref<T>::reduce(Value initial, Combine combine) const {
  return detail::whole(everywhere().template reduce<Member>(std::move(initial), std::move(combine)));
}

}  // namespace ebb
