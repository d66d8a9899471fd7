// Calls from other nodes, carried out on this one.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/base/queue_depth.h"
#include "ebb/object/call_context.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "ebb/observe/call_meter.h"
#include "ebb/platform/translation_table.h"
#include "src/async/contexts_left.h"

namespace ebb::detail {
namespace {

Error no_such_method(const TypeDescriptor& type) {
  return Error::refusal(Errc::no_such_method, "node " + std::to_string(to_number(this_node())) + "'s " +
                                                  std::string(type.interface_name) +
                                                  " has no such method: the programs were built from different headers");
}

Error overloaded(ObjectId id) {
  return Error::refusal(Errc::overloaded, "a core of node " + std::to_string(to_number(this_node())) + " works on " +
                                              std::to_string(kMaxCallsPerObject) + " calls of object " +
                                              std::to_string(id.index()) + "; nothing ran, try again later");
}

/// Of a core's contexts, kept for the calls that it works on already, which could only fail without one.
constexpr std::size_t kKeptContexts = 64;

/// A method may need a context, and once it has begun its call is not made again: so it is turned away before, where few are left.
/// Not those of this node, since what blocks here may wait for them.
bool lacks_contexts(ObjectId id, const CallOrigin& origin) {
  return id >= kFirstApplicationObject && origin.caller != this_node() && contexts_left() < kKeptContexts;
}

Error out_of_contexts() {
  return Error::refusal(Errc::overloaded, "so many events block on a core of node " + std::to_string(to_number(this_node())) +
                                              " that it has few contexts left; nothing ran, try again later");
}

bool may_take_context(ObjectId id, std::uint64_t method) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  const RemoteMethod* found = type == nullptr ? nullptr : type->find(method);
  return type == nullptr || (found != nullptr && found->takes_context);
}

// On the core whose representative is meant; in an event that can block, unless the representative is there.
task<Result<Bytes>> serve_here(ObjectId id, std::uint64_t method, Bytes arguments, CallOrigin origin) {
  std::exception_ptr thrown;
  CallMeter meter(true, origin.trace);
  MethodLabel label{method, {}, {}};
  try {
    if (origin.deadline != kNoDeadline && platform::Clock::now() > origin.deadline) {
      co_return Error(Errc::deadline_exceeded, "the call came to its turn too late; nothing ran");
    }
    if (lacks_contexts(id, origin)) co_return out_of_contexts();
    NodeTable& table = NodeTable::instance();
    void* representative = platform::translate(id);
    if (representative == nullptr) representative = table.miss(id);
    const TypeDescriptor& type = *table.type_of(id);
    const RemoteMethod* found = type.find(method);
    if (found == nullptr) co_return no_such_method(type);
    origin.trace = meter.trace();
    const CallUnderWay call(id, true);
    if (id >= kFirstApplicationObject) {
      if (call.count() > kMaxCallsPerObject) co_return overloaded(id);
      depth_of(Bounded::calls_of_object, Core::current().index()).note(call.count());
    }
    std::optional<ServedContext> served;
    const call_context* context = nullptr;
    if (found->takes_context) {
      served.emplace(id, origin);
      context = &served->context();
    }
    if (type.exclusive) require_lease();
    label = {method, type.interface_name, found->name};
    // Two statements: gcc 12 mishandles conditional operands of co_await.
    task<Result<Bytes>> work = type.serve != nullptr ? type.serve(id, representative, *found, std::move(arguments),
                                                                {origin.caller, origin.trace, context})
                                                     : found->invoke(representative, std::move(arguments), context);
    Result<Bytes> answer = co_await std::move(work);
    if (type.exclusive) require_lease_still();
    // An attempt that was turned away is no call of the method.
    if (answer || !answer.error().is_refusal()) meter.end(label, id, origin.caller, answer.code());
    co_return answer;
  } catch (...) {
    thrown = std::current_exception();
  }
  Error error = to_error(std::move(thrown));
  // What failed before the method began is no call of it.
  if (!label.name.empty() && !error.is_refusal()) meter.end(label, id, origin.caller, error.code());
  co_return error;
}

}  // namespace

task<Result<Bytes>> serve_call(ObjectId id, CoreIndex core, std::uint64_t method, Bytes arguments, CallOrigin origin) {
  if (!id.valid()) co_return Error(Errc::no_such_object, "a call names an object id that does not exist");
  const CoreIndex here = Core::current().index();
  const CoreIndex target = core == kAnyCore ? here : core;
  if (to_number(target) >= Core::count()) {
    co_return Error(Errc::not_found, "node " + std::to_string(to_number(this_node())) + " has " +
                                         std::to_string(Core::count()) + " cores, and no core " +
                                         std::to_string(to_number(target)));
  }
  if (target == here && platform::translate(id) != nullptr) {
    co_return co_await serve_here(id, method, std::move(arguments), origin);
  }
  // A cancellation goes over there by a message.
  std::optional<CancelRelay> relay;
  std::shared_ptr<cancel_source> there;
  if (target != here) {
    if (origin.cancellation != nullptr && may_take_context(id, method)) {
      relay.emplace(origin.cancellation->token(), target);
      there = relay->source();
    }
    origin.cancellation = there.get();
  }
  // An event of its own, which can block while a representative is made.
  auto work = [id, method, origin, there, moved = std::move(arguments)]() mutable {
    return serve_here(id, method, std::move(moved), origin);
  };
  const ObjectId queued = target != here ? id : ObjectId();
  try {
    CoreCall<decltype(work)> call(target, queued, std::move(work));
    co_return co_await call;
  } catch (const ErrorException& failed) {
    co_return failed.error();  // it could not even wait for its turn there
  }
}

}  // namespace ebb::detail
