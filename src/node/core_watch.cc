#include "src/node/core_watch.h"

#include <algorithm>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {

task<void> CoreWatch::start() {
  cores_ = Core::count();
  for (std::uint16_t core = 0; core < cores_; ++core) {
    auto begin = [this, core] {
      parts_[core].dropped_at = lease_.end();
      tick(parts_[core]);
    };
    co_await on_core(CoreIndex{core}, begin);
  }
}

void CoreWatch::tick(Part& part) {
  const platform::Instant now = platform::Clock::now();
  part.ticked.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  const platform::Instant end = lease_.end();
  const bool valid = now < end;
  // First, since destructors may wait.
  part.timer = Core::current().call_at(valid ? std::min(end, now + kTick) : now + kTick, [this, &part] { tick(part); });
  if (!valid && std::exchange(part.dropped_at, end) != end) NodeTable::instance().drop_caches();
}

bool CoreWatch::all_tick() const noexcept {
  const platform::Duration now = platform::Clock::now().time_since_epoch();
  for (std::size_t core = 0; core < cores_; ++core) {
    if (now - platform::Duration(parts_[core].ticked.load(std::memory_order_relaxed)) > kStuck) return false;
  }
  return true;
}

task<void> CoreWatch::stop() {
  for (std::uint16_t core = 0; core < cores_; ++core) {
    auto end = [this, core] { Core::current().cancel(parts_[core].timer); };
    co_await on_core(CoreIndex{core}, end);
  }
  cores_ = 0;
}

}  // namespace ebb::detail
