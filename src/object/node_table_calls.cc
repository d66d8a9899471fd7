// The calls of objects that are under way on each core: what an end waits for, and may cancel.
#include <algorithm>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/object/call_context.h"
#include "ebb/object/node_table.h"

namespace ebb {
namespace {

constexpr std::size_t kKeptCounts = 256;
// How often calls under way are looked at: at first, and at most.
constexpr platform::Duration kFirstLook = std::chrono::microseconds(20);
constexpr platform::Duration kLongestLook = std::chrono::milliseconds(5);

}  // namespace

std::vector<ObjectId> NodeTable::objects_with_calls() const {
  const CoreCalls& here = calls_[to_number(Core::current().index())];
  std::vector<ObjectId> busy;
  for (const auto& [id, count] : here.under_way) {
    if (count.all != 0 && id >= kFirstDynamicObject) busy.push_back(id);
  }
  for (const detail::CallOnStack* each = here.on_stack; each != nullptr; each = each->next()) {
    if (each->id() >= kFirstDynamicObject) busy.push_back(each->id());
  }
  return busy;
}

std::uint32_t NodeTable::calls_under_way(ObjectId id) const noexcept {
  const CoreCalls& here = calls_[to_number(Core::current().index())];
  const auto found = here.under_way.find(id);
  std::uint32_t count = found == here.under_way.end() ? 0 : found->second.all;
  for (const detail::CallOnStack* each = here.on_stack; each != nullptr; each = each->next()) {
    if (each->id() == id) ++count;
  }
  return count;
}

task<bool> NodeTable::calls_ended(ObjectId id, platform::Instant limit, cancel_token token) const {
  for (platform::Duration pause = kFirstLook; calls_under_way(id) != 0; pause = std::min(2 * pause, kLongestLook)) {
    if (token.is_cancelled() || platform::Clock::now() > limit) co_return false;
    co_await sleep_for(pause);
  }
  co_return true;
}

void NodeTable::link(detail::ServedContext& context) noexcept {
  detail::ServedContext*& first = calls_[to_number(Core::current().index())].contexts;
  context.next = first;
  if (first != nullptr) first->previous = &context;
  first = &context;
}

void NodeTable::unlink(detail::ServedContext& context) noexcept {
  detail::ServedContext*& first = calls_[to_number(Core::current().index())].contexts;
  (context.previous != nullptr ? context.previous->next : first) = context.next;
  if (context.next != nullptr) context.next->previous = context.previous;
}

void NodeTable::cancel_calls(ObjectId id) {
  // Those who wait for a token are resumed later, so no call ends meanwhile.
  for (detail::ServedContext* each = calls_[to_number(Core::current().index())].contexts; each != nullptr; each = each->next) {
    if (each->id() == id) each->cancel();
  }
}

detail::CallOnStack::CallOnStack(ObjectId id) noexcept
    : id_(id), here_(&NodeTable::instance().calls_[to_number(Core::current().index())].on_stack) {
  next_ = *here_;
  if (next_ != nullptr) next_->here_ = &next_;
  *here_ = this;
}

detail::CallUnderWay::CallUnderWay(ObjectId id, bool served) : id_(id), served_(served) {
  auto& counts = NodeTable::instance().calls_[to_number(Core::current().index())].under_way[id];
  ++counts.all;
  if (served) ++counts.served;
  count_ = counts.served;
}

detail::CallUnderWay::~CallUnderWay() {
  auto& calls = NodeTable::instance().calls_[to_number(Core::current().index())].under_way;
  const auto mine = calls.find(id_);
  // Few are kept at zero, so that calls of the same objects need not allocate.
  if (served_) --mine->second.served;
  if (--mine->second.all == 0 && calls.size() > kKeptCounts) calls.erase(mine);
}

}  // namespace ebb
