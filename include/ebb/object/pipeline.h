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
#include "ebb/object/node_target.h"
#include "ebb/object/ref.h"
#include "ebb/object/signature.h"
#include "ebb/wire/codec.h"

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
  /// first step that fails, and later ones do not run. Errors besides: invalid_argument (no steps, or too many).
  task<Result<std::vector<std::byte>>> run(const call_context& context, ObjectId object, std::vector<PipelineStep> steps);
  using interface = ebb::interface<"ebb.Pipeline/1", method<"run", &PipelineService::run>>;
};
inline constexpr auto kPipelineService = ref<PipelineService>::unchecked(ObjectId(kFirstBulkObject.index() + 1));

template <class T, auto Member, class... Arguments>
PipelineStep pipeline_step(Arguments&&... arguments);

/// Enters it in this node's table.
void know_pipelines();

}  // namespace detail

/// Steps that will be run by call(); R is what the last one gives.
template <class R>
class pipeline {
 public:
  pipeline(node_target<detail::PipelineService> where, ObjectId object, detail::PipelineStep first)
      : where_(std::move(where)), object_(object) {
    steps_.push_back(std::move(first));
  }

  /// A step on the object that the last one gives, which must be a `ref<>`. It runs on the same node (or on its home, if it
  /// has one), with no message in between.
  template <auto Member, class... Arguments>
  pipeline<detail::MethodResult<Member>> then(Arguments&&... arguments) && {
    using Next = typename detail::SignatureOf<Member>::class_type;
    static_assert(std::is_same_v<R, ref<Next>>, "the step before does not give a reference to an object with this method");
    steps_.push_back(detail::pipeline_step<Next, Member>(std::forward<Arguments>(arguments)...));
    return {std::move(where_), object_, std::move(steps_)};
  }

  /// Runs them. All steps have one deadline, one cancellation and one trace, those of the target. Errors: those of node_target::call
  /// for the first step; of a later step likewise, and then the earlier ones have run: so `overloaded` becomes
  /// deadline_exceeded there.
  task<Result<R>> call() && { return run(std::move(where_), object_, std::move(steps_)); }

 private:
  template <class>
  friend class pipeline;
  pipeline(node_target<detail::PipelineService> where, ObjectId object, std::vector<detail::PipelineStep> steps)
      : where_(std::move(where)), object_(object), steps_(std::move(steps)) {}

  static task<Result<R>> run(node_target<detail::PipelineService> where, ObjectId object, std::vector<detail::PipelineStep> steps) {
    detail::know_pipelines();
    auto answer = co_await where.template call<&detail::PipelineService::run>(object, std::move(steps));
    if (!answer) co_return std::move(answer).error();
    if constexpr (std::is_void_v<R>) {
      if (answer->empty()) co_return Result<void>();
    } else {
      if (auto value = wire::decode<R>(*answer)) co_return *std::move(value);
    }
    co_return Error(Errc::malformed, "the answer of a pipeline does not decode; start all nodes from the same build");
  }

  node_target<detail::PipelineService> where_;
  ObjectId object_;
  std::vector<detail::PipelineStep> steps_;
};

namespace detail {

template <class T, auto Member, class... Arguments>
PipelineStep pipeline_step(Arguments&&... arguments) {
  using Shape = SignatureOf<Member>;
  static_assert(Shape::kTravels, "a parameter or the result of this method cannot travel between nodes");
  static_assert(!kSpreadByKey<T>, "a pipeline does not lead to objects that are spread by keys");
  static_cast<void>(&Registered<T>::entry);
  PipelineStep step{T::interface::template method_id<Member>(), {}};
  const typename Shape::stored stored(std::forward<Arguments>(arguments)...);
  if constexpr (std::tuple_size_v<typename Shape::stored> != 0) step.arguments = wire::encode(stored);
  return step;
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
