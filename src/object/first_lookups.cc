#include "ebb/object/first_lookups.h"

#include <utility>

#include "ebb/async/on_core.h"

namespace ebb::detail {

bool FirstLookups::join(ObjectId id, Asker& asker) {
  const std::lock_guard guard(mutex_);
  const auto [place, first] = under_way_.try_emplace(id);
  if (!first) place->second.push_back(&asker);
  return first;
}

void FirstLookups::tell(ObjectId id, const Answer& answer) noexcept {
  std::vector<Asker*> askers;
  {
    const std::lock_guard guard(mutex_);
    const auto place = under_way_.find(id);
    askers = std::move(place->second);
    under_way_.erase(place);
  }
  for (Asker* asker : askers) {
    try {
      asker->answer = answer;
    } catch (...) {
      asker->answer.reset();  // no memory: it looks again
    }
    spawn_on_when_room(asker->core, [asker] { asker->answered.complete(); });
  }
}

}  // namespace ebb::detail
