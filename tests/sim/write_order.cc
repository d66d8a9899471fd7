#include "tests/sim/write_order.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "ebb/base/hash.h"

namespace ebb::sim {
namespace {

std::string describe(const Page& page) { return "write " + std::to_string(page.count) + " of life " + std::to_string(page.life); }

}  // namespace

Page WriteOrder::carry_out(const Page& page, std::uint64_t operation, const std::string& where) {
  // Not zero for the first operation of the first life: mix64(0) is 0.
  const Page after{page.life, page.count + 1, mix64(mix64(page.hash ^ (page.life + 1)) + operation + 1)};
  const auto [known, fresh] = steps_.try_emplace(operation, Step{page, after, where});
  if (fresh) {
    last_of_.emplace(after.hash, operation);
    history_.ran(operation, where);
  } else if (known->second.before != page && is_known(page)) {  // one that has gone astray does so once
    const bool again = leads_to(known->second.after, page);
    violations.push_back("operation " + std::to_string(operation) + " was carried out " +
                         (again ? "twice" : "in another order") + ": as " + describe(known->second.after) + " at " +
                         known->second.where + ", and as " + describe(after) + " at " + where);
  }
  return after;
}

bool WriteOrder::is_known(const Page& page) const {
  if (page.count == 0) return page.hash == 0;
  const auto last = last_of_.find(page.hash);
  return last != last_of_.end() && steps_.at(last->second).after == page;
}

bool WriteOrder::leads_to(const Page& earlier, Page later) const {
  while (later.count > earlier.count) {
    const auto last = last_of_.find(later.hash);
    if (last == last_of_.end()) return false;
    later = steps_.at(last->second).before;
  }
  return later == earlier;
}

void WriteOrder::check_answer(const Operation& operation, const Page& page) {
  const std::string who = "operation " + std::to_string(operation.id);
  const auto ran = steps_.find(operation.id);
  if (!is_known(page)) violations.push_back(who + " was answered with a state that no order of writes gives, " + describe(page));
  if (!operation.write || (ran != steps_.end() && ran->second.after == page)) return;
  violations.push_back(who + " was answered as " + describe(page) + ", which it was not");
}

void WriteOrder::check_writes(std::vector<const Operation*> writes) {
  std::sort(writes.begin(), writes.end(), [](const auto* a, const auto* b) { return *a->moment < *b->moment; });
  for (std::size_t at = 1; at < writes.size(); ++at) {
    const Page& earlier = heard_.at(writes[at - 1]->id);
    const Page& later = heard_.at(writes[at]->id);
    if (leads_to(earlier, later)) continue;
    violations.push_back("operations " + std::to_string(writes[at - 1]->id) + " and " + std::to_string(writes[at]->id) +
                         " were both answered, as " + describe(earlier) + " and " + describe(later) + ", but are in no one order");
  }
}

void WriteOrder::check_reads(const std::vector<const Operation*>& writes, const std::vector<const Operation*>& reads) {
  std::map<Time, const Page*> answered;  // the highest that was, by then
  for (const Operation* write : writes) {
    const Page& page = heard_.at(write->id);
    const Page*& highest = answered[*write->end];
    if (highest == nullptr || highest->count < page.count) highest = &page;
  }
  const Page* highest = nullptr;
  for (auto& [time, page] : answered) page = highest = highest != nullptr && highest->count > page->count ? highest : page;
  for (const Operation* read : reads) {
    const auto after = answered.lower_bound(read->begin);
    if (after == answered.begin()) continue;
    const Page& last = *std::prev(after)->second;
    const Page& seen = heard_.at(read->id);
    // That it saw too few of them, History::check_reads says.
    if (seen.count < last.count || leads_to(last, seen)) continue;
    violations.push_back("read " + std::to_string(read->id) + " by " + read->who + " saw " + describe(seen) + " without answered " +
                         describe(last));
  }
}

void WriteOrder::check() {
  struct Answered {
    std::vector<const Operation*> writes;
    std::vector<const Operation*> reads;
  };
  std::map<std::pair<std::uint64_t, std::uint64_t>, Answered> lives;  // by object and life
  for (const Operation& each : history_.operations()) {
    const auto page = heard_.find(each.id);
    if (!each.moment || page == heard_.end()) continue;
    check_answer(each, page->second);
    Answered& life = lives[{each.object, page->second.life}];
    (each.write ? life.writes : life.reads).push_back(&each);
  }
  for (const auto& [life, answered] : lives) {
    check_writes(answered.writes);
    check_reads(answered.writes, answered.reads);
  }
}

}  // namespace ebb::sim
