#include "ebb/object/object.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

#include "ebb/object/node_link.h"

namespace ebb::detail {
namespace {

std::string readable(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 ? name.get() : type.name();
}

}  // namespace

Error to_error(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const ErrorException& error) {
    return error.error();
  } catch (const std::exception& error) {
    return Error(Errc::application_error, readable(typeid(error)) + ": " + error.what());
  } catch (...) {
    return Error(Errc::application_error, "an exception that is not a std::exception");
  }
}

task<Result<void>> destroy(ObjectId id, const TypeDescriptor* type) {
  NodeTable& table = NodeTable::instance();
  // The directory first: from here on no core can come to know the object anew.
  if (Result<void> removed = co_await table.directory().remove(id); !removed) co_return removed;
  if (Result<void> ended = co_await table.end(id, type); !ended) co_return ended;
  NodeLink* link = node_link();
  if (link == nullptr) co_return Result<void>();
  co_return co_await link->end_elsewhere(id, type->interface_id);
}

}  // namespace ebb::detail
