#include "ebb/object/pipeline.h"

#include <string>

#include "ebb/object/encoded_call.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {
namespace {

/// One step, wherever its object is; its arguments are used up.
task<Result<Bytes>> run_step(const call_context* context, ObjectId object, PipelineStep* step) {
  // A pipeline within a pipeline would be a small message that makes a node do much; and nobody needs one of the runtime's own.
  if (object.valid() && object < kFirstApplicationObject) {
    co_return Error(Errc::invalid_argument, "a step of a pipeline is a call of an application's object");
  }
  EncodedCall call{object, {step->method, {}, {}}, {}, std::move(step->arguments)};
  call.options.inherit_deadline(*context);
  const TypeDescriptor* type = NodeTable::instance().type_of(object);
  if (type != nullptr) {
    const RemoteMethod* method = type->find(step->method);
    call.method = {step->method, type->interface_name, method == nullptr ? std::string_view() : method->name};
  }
  if (type != nullptr && type->exclusive) co_return co_await call_home(type, std::move(call));
  const bool known = type != nullptr;
  EncodedCall again;
  if (!known) again = call;
  Result<Bytes> answer = co_await call_node(this_node(), kAnyCore, std::move(call));
  // One that was not known here is by now, and may have a home elsewhere; then nothing has run.
  if (known || answer.code() != Errc::moved || !was_turned_away(answer)) co_return answer;
  type = NodeTable::instance().type_of(object);
  if (type == nullptr || !type->exclusive) co_return answer;
  co_return co_await call_home(type, std::move(again));
}

/// What the caller hears of step number `at`: by then the earlier ones have run.
Error failed(std::size_t at, const Error& error) {
  const std::string text = "step " + std::to_string(at + 1) + " of a pipeline: " + error.text();
  if (at != 0 && was_turned_away(Result<void>(error))) return Error(Errc::deadline_exceeded, text);
  // A refusal says that nothing ran, which is true of this step alone.
  const bool of_the_step = error.code() == Errc::no_such_method || (at != 0 && error.is_refusal());
  return of_the_step ? Error(error.code(), text) : error;
}

}  // namespace

void know_pipelines() { NodeTable::instance().enter(kPipelineService.id(), kTypeDescriptor<PipelineService>); }

task<Result<std::vector<std::byte>>> PipelineService::run(const call_context& context, ObjectId object,
                                                          std::vector<PipelineStep> steps) {
  if (steps.empty() || steps.size() > kMaxSteps) {
    co_return Error(Errc::invalid_argument, "a pipeline has 1 to " + std::to_string(kMaxSteps) + " steps");
  }
  for (std::size_t i = 0;; ++i) {
    Result<Bytes> answer = co_await run_step(&context, object, &steps[i]);
    if (!answer) co_return failed(i, answer.error());
    if (i + 1 == steps.size()) co_return answer;
    const auto next = wire::decode<ObjectId>(*answer);
    if (!next) co_return Error(Errc::malformed, "a step of a pipeline gives no object for the next one");
    object = *next;
  }
}

}  // namespace ebb::detail
