#include "ebb/object/pipeline.h"

#include <string>

#include "ebb/object/home.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {
namespace {

/// One step, wherever its object is; tried again while nothing ran.
task<Result<Bytes>> run_step(const call_context* context, ObjectId object, const PipelineStep* step, bool first) {
  cancel_source cancellation;
  const cancel_callback given_up(context->cancellation, [&cancellation] { cancellation.cancel(); });
  const CallOrigin origin{context->caller, context->deadline, context->trace, &cancellation};
  CallOptions options;
  options.inherit(*context);
  const platform::Instant deadline = options.deadline(platform::Clock::now());
  options.not_after = deadline;
  for (int attempt = 0;; ++attempt) {
    const TypeDescriptor* type = NodeTable::instance().type_of(object);
    const bool has_home = type != nullptr && type->exclusive;
    task<Result<Bytes>> work =
        has_home ? call_home(object, type, step->method, options, step->arguments)
                 : serve_call(object, kAnyCore, step->method, step->arguments, origin);
    Result<Bytes> answer = co_await std::move(work);
    const bool nothing_ran = answer.code() == Errc::overloaded || answer.code() == Errc::moved;
    // Of the first step the caller may hear that nothing ran.
    if (!nothing_ran || (first && answer.code() == Errc::overloaded)) co_return answer;
    const bool again = co_await pause_before_retry(attempt, deadline);
    if (!again || context->cancellation.is_cancelled()) {
      co_return Error(Errc::deadline_exceeded, "a step of a pipeline could not be run in time: " + answer.error().text());
    }
  }
}

}  // namespace

void know_pipelines() { NodeTable::instance().enter(kPipelineService.id(), kTypeDescriptor<PipelineService>); }

task<Result<std::vector<std::byte>>> PipelineService::run(const call_context& context, ObjectId object,
                                                          std::vector<PipelineStep> steps) {
  if (steps.empty() || steps.size() > kMaxSteps) {
    co_return Error(Errc::invalid_argument, "a pipeline has 1 to " + std::to_string(kMaxSteps) + " steps");
  }
  for (std::size_t i = 0;; ++i) {
    Result<Bytes> answer = co_await run_step(&context, object, &steps[i], i == 0);
    if (!answer || i + 1 == steps.size()) co_return answer;
    const auto next = wire::decode<ObjectId>(*answer);
    if (!next) co_return Error(Errc::malformed, "a step of a pipeline gives no object for the next one");
    object = *next;
  }
}

}  // namespace ebb::detail
