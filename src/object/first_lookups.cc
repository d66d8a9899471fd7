#include "ebb/object/first_lookups.h"

#include <exception>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {

bool FirstLookups::join(ObjectId id, Asker& asker) {
  const std::lock_guard guard(mutex_);
  const auto [place, first] = under_way_.try_emplace(id);
  if (!first) place->second.push_back(&asker);
  return first;
}

void FirstLookups::tell(ObjectId id, const Result<ObjectRecord>& answer) noexcept {
  std::vector<Asker*> askers;
  {
    const std::lock_guard guard(mutex_);
    const auto place = under_way_.find(id);
    askers = std::move(place->second);
    under_way_.erase(place);
  }
  for (Asker* asker : askers) {
    try {
      asker->answer.emplace(answer);
    } catch (...) {
      asker->answer.reset();
    }
    spawn_on_when_room(asker->core, [asker] { asker->answered.complete(); });
  }
}

task<FirstLookups::Answer> FirstLookups::look_up(NodeTable& table, ObjectId id) {
  Asker me{Core::current().index(), {}, {}};
  if (!join(id, me)) {
    co_await me.answered;
    if (me.answer) co_return Answer{*std::move(me.answer), false};
    co_return Answer{Error(Errc::resource_exhausted, "there was no memory for what the directory knows of an object"), false};
  }
  Answer answer{ObjectRecord(), true};
  std::exception_ptr thrown;
  try {
    answer.record = co_await table.lookup(id);
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown) answer.record = to_error(std::move(thrown));
  tell(id, answer.record);
  co_return answer;
}

}  // namespace ebb::detail
