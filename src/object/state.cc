#include "src/object/state.h"

#include <exception>
#include <string>

#include "ebb/object/object.h"

namespace ebb::detail {
namespace {

/// Whatever code it names, to those who move states it is the type's own failure: theirs have meanings of their own.
Error failed(const TypeDescriptor& type, const char* what) {
  return Error(Errc::application_error, std::string(what) + " of a " + std::string(type.interface_name) + " threw: " +
                                            to_error(std::current_exception()).text());
}

}  // namespace

Result<Bytes> save_state(const TypeDescriptor& type, const void* object) {
  try {
    return type.state.save(object);
  } catch (...) {
    return failed(type, "save()");
  }
}

Result<void> restore_state(const TypeDescriptor& type, void* object, const Bytes& state) {
  try {
    if (type.state.restore(object, state)) return {};
  } catch (...) {
    return failed(type, "restore()");
  }
  return Error(Errc::malformed, "restore() of a " + std::string(type.interface_name) +
                                    " does not read what its save() gives; start all nodes from the same build");
}

}  // namespace ebb::detail
