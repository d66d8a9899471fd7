#include "ebb/object/object.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "src/object/mismatch.h"

namespace ebb::detail {
namespace {

std::string readable(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 ? name.get() : type.name();
}

/// What is to end is a `type`, as far as anybody knows: it may be half ended.
task<Result<void>> is_a(ObjectId id, const TypeDescriptor* type) {
  if (!id.valid()) co_return names_nothing();
  if (const TypeDescriptor* known = NodeTable::instance().type_of(id)) {
    if (known->interface_id != type->interface_id) co_return mismatch(id, known->interface_name, *type);
    co_return Result<void>();
  }
  const auto record = co_await NodeTable::instance().lookup(id);
  if (record && record->interface_id != type->interface_id) co_return mismatch(id, record->interface_name, *type);
  if (!record && record.code() != Errc::no_such_object) co_return record.error();
  co_return Result<void>();
}

}  // namespace

Error to_error(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const ErrorException& error) {
    return error.error();
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(Errc::application_error, readable(typeid(error)) + ": " + detail::text_of(error));
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    return Error(Errc::application_error, (type == nullptr ? "something of an unknown type" : readable(*type)) +
                                              std::string(", which is no std::exception"));
  }
}

void settle_thrown(const MeteredCall& call, CallMeter& meter) {
  const std::exception_ptr thrown = std::current_exception();
  Error error = to_error(thrown);
  meter.end(call.label, call.object, call.caller, error.code());
  if (error.is_refusal()) throw ErrorException(std::move(error).as_answer());
  std::rethrow_exception(thrown);
}

task<Result<void>> destroy(ObjectId id, const TypeDescriptor* type) {
  NodeTable& table = NodeTable::instance();
  if (id.valid() && id < kFirstDynamicObject) {
    co_return Error(Errc::invalid_argument, "object " + std::to_string(id.index()) + " is a static one; it ends with the nodes");
  }
  if (Result<void> right = co_await is_a(id, type); !right) co_return right;
  // The directory first: from here on no core can come to know the object anew. It takes the same again until all has ended.
  if (Result<void> removed = co_await table.directory().remove(id); !removed) co_return removed;
  Result<void> ended = co_await table.end(id, type);
  // By an attempt that failed elsewhere.
  if (ended.code() == Errc::no_such_object) ended = {};
  NodeLink* link = node_link();
  const std::uint64_t view = cluster_view_version();
  if (link != nullptr) {
    // Also where something of it is left here: it must not answer elsewhere for ever.
    Result<void> elsewhere = co_await link->end_elsewhere(id, type->interface_id);
    if (ended) ended = std::move(elsewhere);
  }
  if (!ended) co_return ended;
  // A node that has joined meanwhile was not told, and one that has left may not have heard: then the id is used up.
  if (cluster_view_version() == view) static_cast<void>(co_await table.directory().retire(id, view));
  co_return Result<void>();
}

task<Result<std::uint32_t>> swap(ObjectId id, const TypeDescriptor* type, const Implementation* implementation) {
  if (!id.valid()) co_return names_nothing();
  // Only of what there is: its record says so.
  const auto record = co_await NodeTable::instance().lookup(id);
  if (!record) co_return record.error();
  if (record->interface_id != type->interface_id) co_return mismatch(id, record->interface_name, *type);
  // The directory first: a node that comes to know the object from here on makes the new one.
  Swap swap{implementation};
  if (id >= kFirstDynamicObject) {
    const auto number = co_await NodeTable::instance().directory().implement(id, implementation->id);
    if (!number) co_return number.error();
    swap.number = *number;
  }
  auto here = co_await NodeTable::instance().swap(id, type, swap);
  NodeLink* link = node_link();
  if (!here || link == nullptr) co_return here;
  auto elsewhere = co_await link->swap_elsewhere(id, type->interface_id, swap);
  if (!elsewhere) co_return elsewhere;
  co_return *here + *elsewhere;
}

}  // namespace ebb::detail
