// What all directories have in common: which names they take, and what they say of ids and names they do not know.
#include "ebb/object/directory.h"

namespace ebb {

Result<void> Directory::check(const NewObject& wanted) {
  const auto refuse = [](const char* whose) {
    return Error(Errc::invalid_argument, std::string(whose) + " name has at most " + std::to_string(kMaxNameBytes) +
                                             " bytes; choose a shorter one");
  };
  if (wanted.interface_name.size() > kMaxNameBytes) return refuse("an interface's");
  if (wanted.policy.size() > kMaxNameBytes) return refuse("a policy's");
  if (wanted.name.size() > kMaxNameBytes) return refuse("an object's");
  return {};
}

Error Directory::missing(ObjectId id) {
  return Error(Errc::no_such_object,
               "no object has the id " + std::to_string(id.index()) + "; it was destroyed, or never created");
}

Error Directory::not_ending(ObjectId id) {
  return Error(Errc::invalid_argument, "object " + std::to_string(id.index()) + " has not been removed, or its end was told before");
}

Error Directory::name_missing(const std::string& name) {
  return Error(Errc::no_such_object, "no object has the name \"" + name + "\"; it was destroyed, or never created");
}

Error Directory::name_taken(const std::string& name) {
  return Error(Errc::already_exists, "another object has the name \"" + name + "\"; find it, or choose another name");
}

}  // namespace ebb
