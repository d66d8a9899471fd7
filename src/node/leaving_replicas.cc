#include "src/node/leaving_replicas.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/semaphore.h"
#include "ebb/async/when_all.h"
#include "ebb/object/home.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "src/node/system_objects.h"

namespace ebb::detail {
namespace {

// Homes that are asked at a time: each may be about to fetch what this node has.
constexpr std::size_t kAsksAtOnce = 16;

std::vector<ObjectId> replicated_here() {
  std::vector<ObjectId> ids;
  NodeTable::instance().for_each([&ids](ObjectId id, const TypeDescriptor& type, std::uint64_t cores) {
    if (type.caches && cores != 0) ids.push_back(id);
    return true;
  });
  return ids;
}

/// Nothing that another attempt would change: the object has ended, or its state does not come to a replica whoever asks.
bool is_final(Errc code) noexcept {
  return code == Errc::ok || code == Errc::no_such_object || code == Errc::too_large || code == Errc::application_error;
}

/// One attempt at it; by the directory's word, since what is known here may be a home of long ago.
task<Result<void>> ask_home(ObjectId id, platform::Duration left) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr) co_return Result<void>();
  const auto home = co_await find_home(id, type, NodeTable::instance().home_of(id).epoch);
  if (!home) co_return home.error();
  // The first one made its replica before there was any other, and keeps it. Whatever is the home here the front end moves.
  if (home->epoch == 1 || home->node == this_node()) co_return Result<void>();
  co_return co_await kNodeService.on(home->node).within(left).call<&NodeService::make_home>(id, home->core);
}

/// Also while that home is lost: the front end then chooses another, perhaps for what is here.
task<bool> bring_home(ObjectId id, Semaphore* window, platform::Instant give_up) {
  const Semaphore::Permit permit = co_await window->acquire();
  for (int attempt = 0;; ++attempt) {
    const platform::Duration left = give_up - platform::Clock::now();
    if (left <= platform::Duration::zero()) co_return false;
    const Result<void> made = co_await ask_home(id, left);
    if (is_final(made.code())) co_return made || made.code() == Errc::no_such_object;
    const bool again = co_await pause_before_retry(attempt, give_up);
    if (!again) co_return false;
  }
}

}  // namespace

task<std::size_t> bring_replicas_home(platform::Instant give_up) {
  Semaphore window(kAsksAtOnce);
  std::vector<task<bool>> works;
  for (const ObjectId id : replicated_here()) works.push_back(bring_home(id, &window, give_up));
  const std::vector<bool> brought = co_await when_all(std::move(works));
  co_return static_cast<std::size_t>(std::count(brought.begin(), brought.end(), false));
}

}  // namespace ebb::detail
