// What all directories have in common: which names they take, and what they say of ids and names they do not know.
#include "ebb/object/directory.h"

#include <algorithm>

namespace ebb {

Result<void> Directory::check(const NewObject& wanted) {
  const auto refuse = [](const char* whose) {
    return Error(Errc::invalid_argument, std::string(whose) + " name has at most " + std::to_string(kMaxNameBytes) +
                                             " bytes; choose a shorter one");
  };
  if (wanted.interface_name.size() > kMaxNameBytes) return refuse("an interface's");
  if (wanted.policy.size() > kMaxNameBytes) return refuse("a policy's");
  if (wanted.name.size() > kMaxNameBytes) return refuse("an object's");
  return check_core(wanted.home_core);
}

Result<void> Directory::check_epoch(std::uint32_t epoch) {
  if (epoch < Home::kMaxEpoch) return {};
  return Error(Errc::resource_exhausted, "an object has moved 16,777,214 times, and stays where it is; create another one");
}

Result<void> Directory::check_core(CoreIndex home_core) {
  if (to_number(home_core) < kMaxCores) return {};
  return Error(Errc::invalid_argument, "an object's home is one core, of at most " + std::to_string(kMaxCores) + "; no node has a core " +
                                           std::to_string(to_number(home_core)));
}

Result<void> Directory::check(const std::vector<LeasedObject>& objects) {
  if (objects.size() > kMaxListed) {
    return Error(Errc::invalid_argument, "at most " + std::to_string(kMaxListed) + " objects are entered at a time");
  }
  for (const LeasedObject& each : objects) {
    if (!each.object.name.empty()) return Error(Errc::invalid_argument, "an object under a leased id has no name");
    if (Result<void> sound = check(each.object); !sound) return sound;
  }
  return {};
}

std::uint32_t Directory::leasable(std::uint32_t wanted, std::uint32_t left) noexcept {
  // Leases that are not used up must not keep others from making objects, however many nodes and cores take one.
  constexpr std::uint32_t kPart = 64;
  return std::min({wanted, kIdLease, left / kPart});
}

Error Directory::none_to_lease() {
  return Error(Errc::resource_exhausted, "too few object ids are left to lease any; destroy objects, or wait");
}

Error Directory::missing(ObjectId id) {
  return Error(Errc::no_such_object,
               "no object has the id " + std::to_string(id.index()) + "; it was destroyed, or never created");
}

Error Directory::not_ending(ObjectId id) {
  return Error(Errc::invalid_argument, "object " + std::to_string(id.index()) + " has not been removed, or its end was told before");
}

Error Directory::name_missing(const std::string& name) {
  const bool possible = name.size() <= kMaxNameBytes;
  return Error(Errc::no_such_object, "no object has the name \"" + (possible ? name : name.substr(0, 32) + "...") + "\"; " +
                                         (possible ? "it was destroyed, or never created" : "names have at most 255 bytes"));
}

Error Directory::name_taken(const std::string& name) {
  return Error(Errc::already_exists, "another object has the name \"" + name + "\"; find it, or choose another name");
}

}  // namespace ebb
