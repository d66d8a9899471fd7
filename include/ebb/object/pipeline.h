// Calls on the results of calls that have not been made yet: the steps travel together, and run where the first one does.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_target.h"
#include "ebb/object/ref.h"
#include "ebb/object/signature.h"

namespace ebb {

namespace detail {

struct PipelineStep {
  std::uint64_t method = 0;
  std::vector<std::byte> arguments;
};

/// Runs the steps of a pipeline. Known on every node under a fixed id.
struct PipelineService {
  static constexpr std::size_t kMaxSteps = 16;
  /// The first step on `object`, each later one on the object that the one before gave; the last one's result. The error of the
  /// first step that fails, and later ones do not run. Errors besides: invalid_argument (no steps, or too many, or one of an
  /// object of the runtime).
  task<Result<std::vector<std::byte>>> run(const call_context& context, ObjectId object, std::vector<PipelineStep> steps);
  using interface = ebb::interface<"ebb.Pipeline/1", method<"run", &PipelineService::run>>;
};
inline constexpr auto kPipelineService = ref<PipelineService>::unchecked(ObjectId(kFirstBulkObject.index() + 1));

template <class T, auto Member, class... Arguments>
Result<PipelineStep> pipeline_step(Arguments&&... arguments);

/// Enters it in this node's table.
void know_pipelines();

/// The type that a reference leads to.
template <class>
struct Referred {
  using type = void;
};
template <class T>
struct Referred<ref<T>> {
  using type = T;
};

}  // namespace detail

/// Steps that will be run by call(); R is what the last one gives.
template <class R>
class pipeline {
 public:
  pipeline(node_target<detail::PipelineService> where, ObjectId object, Result<detail::PipelineStep> first)
      : where_(std::move(where)), object_(object) {
    add(std::move(first));
  }

  /// A step on the object that the last one gives, which must be a `ref<>`. It runs on the same node (or on its home, if it
  /// has one), with no message in between.
  template <auto Member, class... Arguments>
  pipeline<detail::MethodResult<Member>> then(Arguments&&... arguments) && {
    using Next = typename detail::Referred<R>::type;
    static_assert(std::is_base_of_v<typename detail::SignatureOf<Member>::class_type, Next>,
                  "the step before does not give a reference to an object with this method");
    add(detail::pipeline_step<Next, Member>(std::forward<Arguments>(arguments)...));
    return {std::move(where_), object_, std::move(steps_)};
  }

  /// Runs them. All steps have one deadline, one cancellation and one trace, those of the target. Errors: those of
  /// node_target::call for the first step; of a later step likewise, and then the earlier ones have run: so `overloaded`
  /// becomes deadline_exceeded there.
  task<Result<R>> call() && { return run(std::move(where_), object_, std::move(steps_)); }

 private:
  template <class>
  friend class pipeline;
  using Steps = Result<std::vector<detail::PipelineStep>>;
  pipeline(node_target<detail::PipelineService> where, ObjectId object, Steps steps)
      : where_(std::move(where)), object_(object), steps_(std::move(steps)) {}

  /// One whose arguments cannot be encoded is the error of them all.
  void add(Result<detail::PipelineStep> step) {
    if (!step) {
      steps_ = std::move(step).error();
    } else if (steps_) {
      steps_->push_back(*std::move(step));
    }
  }

  static task<Result<R>> run(node_target<detail::PipelineService> where, ObjectId object, Steps steps) {
    detail::know_pipelines();
    if (!steps) co_return std::move(steps).error();
    Result<Bytes> answer = co_await where.template call<&detail::PipelineService::run>(object, *std::move(steps));
    co_return detail::decoded<R>(std::move(answer), detail::kMethodLabel<detail::PipelineService, &detail::PipelineService::run>);
  }

  node_target<detail::PipelineService> where_;
  ObjectId object_;
  Steps steps_ = std::vector<detail::PipelineStep>();
};

namespace detail {

template <class T, auto Member, class... Arguments>
Result<PipelineStep> pipeline_step(Arguments&&... arguments) {
  using Shape = SignatureOf<Member>;
  static_assert(Shape::must_travel());
  static_assert(!kSpreadByKey<T>, "a pipeline does not lead to objects that are spread by keys");
  static_cast<void>(&Registered<T>::entry);
  Result<Bytes> bytes = encoded(Shape::store(std::forward<Arguments>(arguments)...));
  if (!bytes) return std::move(bytes).error();
  return PipelineStep{T::interface::template method_id<Member>(), *std::move(bytes)};
}

}  // namespace detail

template <class T>
template <auto Member, class... Arguments>
auto node_target<T>::pipeline(Arguments&&... arguments) const {
  auto where = node_target<detail::PipelineService>(detail::kPipelineService.id(), node_, core_).with_options(options_);
  return ebb::pipeline<detail::MethodResult<Member>>(std::move(where), id_,
                                                     detail::pipeline_step<T, Member>(std::forward<Arguments>(arguments)...));
}

}  // namespace ebb
