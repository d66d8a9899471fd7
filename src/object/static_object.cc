#include "ebb/object/static_object.h"

#include <algorithm>

namespace ebb::detail {
namespace {
// Zero before any constructor runs; written by constructors before main(), read afterwards.
constinit const StaticRegistration* first = nullptr;
}  // namespace

StaticRegistration::StaticRegistration(ObjectId id, const TypeDescriptor& type) noexcept
    : id_(id), type_(type), next_(first) {
  first = this;
}

ObjectRecord StaticRegistration::record() const {
  return {id_,           type_.interface_id,        std::string(type_.interface_name),
          kFrontEndNode, std::string(type_.policy), CoreIndex{0}};
}

std::optional<ObjectRecord> StaticRegistration::find(ObjectId id) {
  for (const StaticRegistration* each = first; each != nullptr; each = each->next_) {
    if (each->id_ == id) return each->record();
  }
  return std::nullopt;
}

std::vector<ObjectRecord> StaticRegistration::list(ObjectId after) {
  std::vector<ObjectRecord> records;
  for (const StaticRegistration* each = first; each != nullptr; each = each->next_) {
    if (each->id_ > after) records.push_back(each->record());
  }
  std::sort(records.begin(), records.end(), [](const ObjectRecord& one, const ObjectRecord& other) { return one.id < other.id; });
  return records;
}

std::string StaticRegistration::find_collision() {
  for (const StaticRegistration* each = first; each != nullptr; each = each->next_) {
    if (std::string collision = find_collision(each->id_); !collision.empty()) return collision;
  }
  return {};
}

std::string StaticRegistration::find_collision(ObjectId id) {
  const StaticRegistration* one = nullptr;
  for (const StaticRegistration* each = first; each != nullptr; each = each->next_) {
    if (each->id_ != id) continue;
    if (one == nullptr) {
      one = each;
      continue;
    }
    return "two static objects of this program, a " + std::string(one->type_.interface_name) + " and a " +
           std::string(each->type_.interface_name) + ", have the id " + std::to_string(id.index()) + "; give one of them another id";
  }
  return {};
}

}  // namespace ebb::detail
