#include "ebb/object/type.h"

#include <string>

#include "ebb/object/directory.h"
#include "src/object/mismatch.h"

namespace ebb::detail {

Result<void> agrees(const ObjectRecord& record, const TypeDescriptor& type) {
  if (record.interface_id != type.interface_id) return mismatch(record.id, record.interface_name, type);
  if (record.policy == type.policy) return {};
  return Error(Errc::interface_mismatch, describe(record.id) + " is of the kind " + record.policy + ", and in this node's program a " +
                                             std::string(type.interface_name) + " is of the kind " + std::string(type.policy) +
                                             "; start all nodes from the same build");
}

Error not_decoded(const wire::Reader& arguments) {
  if (!arguments.too_large()) return Error(Errc::malformed, "the arguments of a call do not decode; the caller's program is broken");
  return Error(Errc::too_large, "the arguments of a call would take more than " + std::to_string(wire::Reader::kMemoryPerByte) +
                                    " times their bytes of memory; pass fewer elements that are empty");
}

namespace {
// Zero before any constructor runs; written by constructors before main(), read afterwards.
constinit const TypeRegistration* first = nullptr;
constinit const ImplementationRegistration* first_implementation = nullptr;
}  // namespace

TypeRegistration::TypeRegistration(const TypeDescriptor& type) noexcept : type_(type), next_(first) { first = this; }

const TypeDescriptor* TypeRegistration::find(std::uint64_t interface_id) noexcept {
  for (const TypeRegistration* each = first; each != nullptr; each = each->next_) {
    if (each->type_.interface_id == interface_id) return &each->type_;
  }
  return nullptr;
}

std::string_view TypeRegistration::find_duplicate() noexcept {
  for (const TypeRegistration* each = first; each != nullptr; each = each->next_) {
    if (find(each->type_.interface_id) != &each->type_) return each->type_.interface_name;
  }
  return {};
}

ImplementationRegistration::ImplementationRegistration(const Implementation& implementation) noexcept
    : implementation_(implementation), next_(first_implementation) {
  first_implementation = this;
}

const Implementation* ImplementationRegistration::find(std::uint64_t id) noexcept {
  for (const ImplementationRegistration* each = first_implementation; each != nullptr; each = each->next_) {
    if (each->implementation_.id == id) return &each->implementation_;
  }
  return nullptr;
}

std::string_view ImplementationRegistration::find_duplicate() noexcept {
  for (const ImplementationRegistration* each = first_implementation; each != nullptr; each = each->next_) {
    if (find(each->implementation_.id) != &each->implementation_) return each->implementation_.name;
  }
  return {};
}

}  // namespace ebb::detail
