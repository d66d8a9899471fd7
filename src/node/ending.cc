#include "src/node/ending.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "src/node/ask_surely.h"
#include "src/node/system_objects.h"

namespace ebb::detail {
namespace {

// How long one object's calls may take before their tokens are fired; and then once more.
constexpr platform::Duration kCallsLimit = std::chrono::seconds(3);
// What a node's answer may take longer than what it was given.
constexpr platform::Duration kAnswerLimit = std::chrono::milliseconds(500);

using Ids = std::vector<ObjectId>;

struct Held {
  std::uint64_t created = 0;
  ObjectId id;
  std::uint64_t interface_id = 0;
  std::string interface_name;
  std::vector<NodeId> nodes;
};

/// Objects whose ends need not wait for each other's: one on several nodes, or many on one node, which keeps their order.
struct Step {
  Ids ids;
  std::vector<NodeId> nodes;
};

std::uint32_t milliseconds_until(platform::Instant moment) {
  const auto left = (moment - platform::Clock::now()) / std::chrono::milliseconds(1);
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
}

task<Ids> held_on(NodeId node, platform::Instant give_up) {
  Ids all;
  ObjectId after;
  for (;;) {
    const auto ask = [node, after](platform::Duration left) {
      return kNodeService.on(node).within(left).call<&NodeService::held>(after);
    };
    const Result<Ids> some = co_await ask_surely(node, give_up, ask);
    // A node that does not say has ended, or will without this.
    if (!some || some->empty() || some->back() <= after) co_return all;
    all.insert(all.end(), some->begin(), some->end());
    after = some->back();
  }
}

/// Whether what `type` depends on, and what that depends on, leads to `wanted`.
bool leads_to(std::uint64_t type, std::uint64_t wanted) {
  std::vector<std::uint64_t> left{type};
  std::unordered_set<std::uint64_t> met;
  while (!left.empty()) {
    const TypeDescriptor* each = TypeRegistration::find(left.back());
    left.pop_back();
    if (each == nullptr) continue;
    for (const std::uint64_t other : each->depends_on) {
      if (other == wanted) return true;
      if (met.insert(other).second) left.push_back(other);
    }
  }
  return false;
}

/// Of objects the newest first, but none before those that depend on it (depends_on.h) and are among them.
class InOrder {
 public:
  explicit InOrder(std::vector<Held> newest_first) : held_(std::move(newest_first)) {
    for (const Held& each : held_) {
      for (const std::uint64_t other : needs(each)) ++waits_for_[other];
    }
    for (std::size_t at = 0; at < held_.size(); ++at) admit(at);
  }

  std::vector<Held> take() && {
    std::vector<Held> result;
    while (!ready_.empty()) {
      const std::size_t at = ready_.top();
      ready_.pop();
      for (const std::uint64_t other : needs(held_[at])) {
        if (--waits_for_[other] != 0) continue;
        for (const std::size_t freed : std::exchange(waiting_[other], {})) ready_.push(freed);
      }
      result.push_back(std::move(held_[at]));
    }
    return result;
  }

 private:
  /// What an object's type depends on, without what depends on it in turn: so there is always one that can end.
  const std::vector<std::uint64_t>& needs(const Held& object) {
    const auto [place, is_new] = needs_.try_emplace(object.interface_id);
    const TypeDescriptor* type = is_new ? TypeRegistration::find(object.interface_id) : nullptr;
    if (type == nullptr) return place->second;
    for (const std::uint64_t other : type->depends_on) {
      if (!leads_to(other, type->interface_id)) {
        place->second.push_back(other);
      } else if (other != type->interface_id) {
        platform::write_log("ebb: objects of " + object.interface_name + " and of what it depends on depend on each other, in a circle; "
                            "these end by age alone");
      }
    }
    return place->second;
  }
  void admit(std::size_t at) {
    const std::uint64_t own = held_[at].interface_id;
    const auto found = waits_for_.find(own);
    if (found == waits_for_.end() || found->second == 0) {
      ready_.push(at);
    } else {
      waiting_[own].push_back(at);
    }
  }

  std::vector<Held> held_;
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> needs_;    // by type, types
  std::unordered_map<std::uint64_t, std::size_t> waits_for_;               // by type, objects that have to end before its own
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> waiting_;    // by type, its objects
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready_;  // the newest on top
};

/// All that the nodes hold and the directory knows, in the order in which it ends.
task<std::vector<Held>> find_held(std::vector<NodeId> nodes, platform::Instant give_up) {
  std::vector<task<Ids>> questions;
  for (const NodeId node : nodes) questions.push_back(held_on(node, give_up));
  const std::vector<Ids> answers = co_await when_all(std::move(questions));
  std::unordered_map<ObjectId, std::vector<NodeId>> holders;
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    for (const ObjectId id : answers[at]) holders[id].push_back(nodes[at]);
  }
  std::vector<Held> found;
  ObjectId after;
  while (found.size() < holders.size()) {
    auto records = co_await NodeTable::instance().directory().list(after, Directory::kMaxListed);
    // Those that are not listed are being destroyed.
    if (!records || records->empty()) break;
    after = records->back().id;
    for (ObjectRecord& record : *records) {
      const auto held = holders.find(record.id);
      if (held == holders.end()) continue;
      found.push_back({record.created, record.id, record.interface_id, std::move(record.interface_name), std::move(held->second)});
    }
  }
  std::sort(found.begin(), found.end(), [](const Held& one, const Held& other) { return one.created > other.created; });
  co_return InOrder(std::move(found)).take();
}

Step next_step(const std::vector<Held>& held, std::size_t from) {
  Step step{{held[from].id}, held[from].nodes};
  if (step.nodes.size() != 1) return step;
  for (std::size_t at = from + 1; at < held.size() && held[at].nodes == step.nodes; ++at) {
    if (step.ids.size() == NodeService::kMostNamed) break;
    step.ids.push_back(held[at].id);
  }
  return step;
}

/// What has not ended, of one node.
task<Ids> end_on(NodeId node, Ids ids, platform::Instant give_up) {
  const auto ask = [node, &ids, give_up](platform::Duration left) {
    return kNodeService.on(node).within(left).call<&NodeService::end_objects>(ids, milliseconds_until(give_up));
  };
  Result<Ids> left = co_await ask_surely(node, give_up + kAnswerLimit, ask);
  if (left) co_return *std::move(left);
  // With a node that is gone its objects are, too.
  if (left.code() == Errc::node_gone && !is_member(node)) co_return Ids();
  co_return ids;
}

task<Ids> end_step(Step step, platform::Instant give_up) {
  std::vector<task<Ids>> works;
  for (const NodeId node : step.nodes) works.push_back(end_on(node, step.ids, give_up));
  Ids left;
  for (const Ids& some : co_await when_all(std::move(works))) left.insert(left.end(), some.begin(), some.end());
  std::sort(left.begin(), left.end());
  left.erase(std::unique(left.begin(), left.end()), left.end());
  co_return left;
}

void report(std::size_t count, const Held& first, platform::Duration limit) {
  const std::string which = "object " + std::to_string(first.id.index()) + ", a " + first.interface_name + ", on node " +
                            std::to_string(to_number(first.nodes.front()));
  const std::string how_long = " within " + std::to_string(limit / std::chrono::milliseconds(1)) + " ms";
  platform::write_log(count == 1 ? "ebb: an object has not ended" + how_long + ": " + which
                                 : "ebb: " + std::to_string(count) + " objects have not ended" + how_long + ", among them " + which);
}

}  // namespace

task<void> end_in_reverse(std::vector<NodeId> nodes, platform::Duration limit) {
  const platform::Instant give_up = platform::Clock::now() + limit;
  const std::vector<Held> held = co_await find_held(std::move(nodes), give_up);
  std::size_t count = 0;
  const Held* first = nullptr;
  for (std::size_t at = 0; at < held.size();) {
    Step step = next_step(held, at);
    const std::size_t next = at + step.ids.size();
    Ids left = step.ids;
    if (platform::Clock::now() < give_up) left = co_await end_step(std::move(step), give_up);
    count += left.size();
    for (; at < next; ++at) {
      if (first == nullptr && std::find(left.begin(), left.end(), held[at].id) != left.end()) first = &held[at];
    }
  }
  if (first != nullptr) report(count, *first, limit);
}

task<Ids> NodeService::held(ObjectId after) {
  NodeTable& table = NodeTable::instance();
  // Whoever asks looks into the directory next.
  co_await table.directory().flush();
  Ids ids;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto ask = [&table] { return table.objects_with_calls(); };
    const Ids busy = co_await on_core(CoreIndex{core}, ask);
    ids.insert(ids.end(), busy.begin(), busy.end());
  }
  std::size_t visible = 0;
  table.for_each([&](ObjectId id, const TypeDescriptor&, std::uint64_t) {
    if (id < kFirstDynamicObject || id <= after || table.ends_unseen(id)) return true;
    ids.push_back(id);
    return ++visible < kMostNamed;
  });
  std::erase_if(ids, [after](ObjectId id) { return id <= after; });
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() > kMostNamed) ids.resize(kMostNamed);
  co_return ids;
}

task<Ids> NodeService::end_objects(Ids ids, std::uint32_t limit_ms) {
  const platform::Instant give_up = platform::Clock::now() + std::chrono::milliseconds(limit_ms);
  NodeTable& table = NodeTable::instance();
  Ids left;
  for (const ObjectId id : ids) {
    if (!id.valid() || id < kFirstDynamicObject) continue;
    const TypeDescriptor* type = table.type_of(id);
    if (type == nullptr) continue;
    const platform::Duration rest = give_up - platform::Clock::now();
    if (rest <= platform::Duration::zero()) {
      left.push_back(id);
      continue;
    }
    // A quarter, as calls whose tokens are fired get the same time again, and other objects are to have some, too.
    const platform::Duration calls_limit = std::min(kCallsLimit, rest / 4);
    const Result<void> ended = co_await table.end(id, type, calls_limit);
    if (!ended && ended.code() != Errc::no_such_object) left.push_back(id);
  }
  co_return left;
}

}  // namespace ebb::detail
