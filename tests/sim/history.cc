#include "tests/sim/history.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tests/sim/linearizability.h"
#include "tests/sim/specifications.h"

namespace ebb::sim {
namespace {

std::string describe(const Moment& moment) {
  return "(epoch " + std::to_string(moment.epoch) + ", operation " + std::to_string(moment.count) + ")";
}
std::string describe(Time time) { return std::to_string(std::chrono::duration<double>(time).count()) + " s"; }

}  // namespace

std::uint64_t History::begin(Time now, std::uint64_t object, bool write) {
  Operation operation;
  operation.id = operations_.size();
  operation.object = object;
  operation.begin = now;
  operation.write = write;
  operations_.push_back(operation);
  return operation.id;
}

void History::succeeded(std::uint64_t id, Time now, Moment moment) {
  operations_[id].end = now;
  operations_[id].moment = moment;
}

void History::failed(std::uint64_t id, Time now) { operations_[id].end = now; }

void History::ran(std::uint64_t id, const std::string& where) {
  const auto [first, fresh] = ran_.emplace(id, where);
  if (!fresh) complain("operation " + std::to_string(id) + " ran twice: " + first->second + " and " + where);
}

std::size_t History::successes() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(operations_.begin(), operations_.end(), [](const Operation& each) { return each.moment.has_value(); }));
}

bool History::answers_after(std::uint64_t object, Time begin) const {
  return std::any_of(operations_.begin(), operations_.end(),
                     [=](const Operation& each) { return each.object == object && each.moment && each.begin >= begin; });
}

void History::complain(std::string what) { violations.push_back(std::move(what)); }

void History::check(bool ordered_epochs) {
  // By object, and by epoch where epochs are only names.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<const Operation*>> groups;
  for (const Operation& each : operations_) {
    if (!each.moment) continue;
    if (each.write && !ran_.contains(each.id)) complain("operation " + std::to_string(each.id) + " was answered and never ran");
    if (each.write) groups[{each.object, ordered_epochs ? 0 : each.moment->epoch}].push_back(&each);
  }
  for (auto& [key, all] : groups) {
    std::sort(all.begin(), all.end(), [](const Operation* a, const Operation* b) { return *a->moment < *b->moment; });
    const Operation* latest = nullptr;  // of those before: the one that began last
    for (std::size_t at = 0; at < all.size(); ++at) {
      const Operation& each = *all[at];
      if (at > 0 && *all[at - 1]->moment == *each.moment) {
        complain("operations " + std::to_string(all[at - 1]->id) + " and " + std::to_string(each.id) + " of object " +
                 std::to_string(each.object) + " were both " + describe(*each.moment));
      }
      // Whatever is ordered before it must not have begun after it had ended.
      if (latest != nullptr && each.end && *each.end < latest->begin) {
        complain("object " + std::to_string(each.object) + ": operation " + std::to_string(each.id) + " at " + describe(*each.moment) +
                 " had ended at " + describe(*each.end) + ", before operation " + std::to_string(latest->id) + " at " +
                 describe(*latest->moment) + " began at " + describe(latest->begin));
      }
      if (latest == nullptr || each.begin > latest->begin) latest = &each;
    }
  }
}

void History::check_as_counters(bool ordered_epochs) {
  std::map<std::uint64_t, std::vector<Attempt<CounterSpecification>>> objects;
  for (const Operation& each : operations_) {
    if (!each.write) continue;
    Attempt<CounterSpecification> attempt;
    attempt.begin = each.begin.count();
    if (each.moment && each.end) {
      attempt.output = {each.moment->epoch, each.moment->count};
      attempt.end = each.end->count();
    }
    objects[each.object].push_back(attempt);
  }
  for (const auto& [object, attempts] : objects) {
    CounterSpecification counter;
    counter.ordered = ordered_epochs;
    for (const auto& each : attempts) {
      if (each.output) counter.lives.insert(each.output->life);
    }
    const Verdict verdict = check_linearizable(counter, attempts);
    if (verdict == Verdict::linearizable) continue;
    // In other words than a search that has found it so: a mutation counts as found by those alone.
    const char* found = verdict == Verdict::undecided ? "the search was given up for a counter that could have given"
                                                      : "no counter could have given";
    complain("object " + std::to_string(object) + ": " + found + " the answers of its " + std::to_string(attempts.size()) + " operations");
  }
}

void History::check_reads() {
  check_that_reads_wait();
  check_that_reads_foresee_nothing();
}

void History::check_that_reads_foresee_nothing() {
  std::map<std::uint64_t, std::vector<Time>> begun;  // writes, by object; operations are in the order of their beginning
  for (const Operation& each : operations_) {
    if (each.write) begun[each.object].push_back(each.begin);
  }
  for (const Operation& read : operations_) {
    if (read.write || !read.moment) continue;
    const std::vector<Time>& writes = begun[read.object];
    const auto most = static_cast<std::uint64_t>(std::upper_bound(writes.begin(), writes.end(), *read.end) - writes.begin());
    if (read.moment->count <= most) continue;
    complain("read " + std::to_string(read.id) + " by " + read.who + " saw " + std::to_string(read.moment->count) +
             " writes although only " + std::to_string(most) + " had begun when it ended");
  }
}

void History::check_that_reads_wait() {
  // The highest write of each object and epoch that had been answered by a time, by that time.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::map<Time, std::uint64_t>> written;
  for (const Operation& each : operations_) {
    if (!each.write || !each.moment) continue;
    std::uint64_t& count = written[{each.object, each.moment->epoch}][*each.end];
    count = std::max(count, each.moment->count);
  }
  for (auto& [key, answered] : written) {
    std::uint64_t highest = 0;
    for (auto& [time, count] : answered) count = highest = std::max(highest, count);
  }
  for (const Operation& read : operations_) {
    if (read.write || !read.moment) continue;
    const auto& answered = written[{read.object, read.moment->epoch}];
    const auto after = answered.lower_bound(read.begin);
    if (after == answered.begin() || std::prev(after)->second <= read.moment->count) continue;
    complain("read " + std::to_string(read.id) + " at " + describe(read.begin) + " by " + read.who + " saw write " +
             std::to_string(read.moment->count) + " although write " + std::to_string(std::prev(after)->second) +
             " had been answered at " + describe(std::prev(after)->first));
  }
}

}  // namespace ebb::sim
