#include "frontend/cluster/control.h"

#include <algorithm>

#include "ebb/async/core.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/static_object.h"
#include "ebb/object/type.h"

namespace ebb::frontend::cluster {

using detail::StaticRegistration;
using detail::TypeDescriptor;
using detail::TypeRegistration;

namespace {

constexpr platform::Duration kLookLimit = std::chrono::seconds(5);
// Nodes that do not answer are given up after 5 s.
constexpr platform::Duration kCountLimit = std::chrono::seconds(8);
// Launching is the driver's to bound, joining the cluster's; this is what both take at most, and a caller's patience.
constexpr platform::Duration kAddLimit = std::chrono::seconds(120);
// What lives there moves away, and then it is asked to end: cluster_nodes::remove() says how long that may take.
constexpr platform::Duration kRemoveLimit = std::chrono::seconds(60);

}  // namespace

Result<service::Membership> Control::membership() {
  return asker_.ask<service::Membership>(kLookLimit, [this](Answer<service::Membership> answer) { return list(std::move(answer)); });
}

task<void> Control::list(Answer<service::Membership> answer) {
  service::Membership result;
  result.nodes.push_back({kFrontEndNode, "frontend", static_cast<std::uint32_t>(Core::count()),
                          platform::to_string(node_.local()), 0, 0});
  for (const NodeStatus& status : cluster_.list()) result.nodes.push_back(to_info(status));
  result.epoch = cluster_.epoch();
  answer->set_value(std::move(result));
  co_return;
}

Result<std::vector<service::NodeInfo>> Control::add_nodes(std::uint32_t count) {
  return asker_.ask<std::vector<service::NodeInfo>>(
      kAddLimit, [this, count](Answer<std::vector<service::NodeInfo>> answer) { return add(std::move(answer), count); });
}

task<void> Control::add(Answer<std::vector<service::NodeInfo>> answer, std::uint32_t count) {
  auto added = co_await cluster_.add(count);
  if (!added) {
    answer->set_value(std::move(added).error());
    co_return;
  }
  std::vector<service::NodeInfo> result;
  for (const NodeStatus& status : cluster_.list()) {
    if (std::find(added->begin(), added->end(), status.id) != added->end()) result.push_back(to_info(status));
  }
  answer->set_value(std::move(result));
}

Result<void> Control::remove_node(NodeId node) {
  return asker_.ask<void>(kRemoveLimit, [this, node](Answer<void> answer) { return remove(std::move(answer), node); });
}

task<void> Control::remove(Answer<void> answer, NodeId id) {
  Result<void> removed = co_await cluster_.remove(id);
  answer->set_value(std::move(removed));
}

Result<std::vector<service::ObjectInfo>> Control::objects(ObjectId after, std::uint32_t limit) {
  return asker_.ask<std::vector<service::ObjectInfo>>(
      kLookLimit, [after, limit](Answer<std::vector<service::ObjectInfo>> answer) {
        return list_objects(std::move(answer), after, limit);
      });
}

namespace {

service::ObjectInfo to_info(ObjectRecord record) {
  using State = service::ObjectInfo::State;
  State state = State::live;
  const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
  // Kinds without a home only remember who created them.
  if (type != nullptr && type->exclusive && !is_member(record.home)) state = type->remade ? State::moving : State::lost;
  return {record.id,   std::move(record.interface_name), std::move(record.name), record.home, std::move(record.policy),
          record.home_core, record.epoch,                    state};
}

}  // namespace

task<void> Control::list_objects(Answer<std::vector<service::ObjectInfo>> answer, ObjectId after, std::uint32_t limit) {
  std::vector<service::ObjectInfo> result;
  for (ObjectRecord& record : StaticRegistration::list(after)) {
    if (result.size() < limit) result.push_back(to_info(std::move(record)));
  }
  const auto left = static_cast<std::uint32_t>(limit - result.size());
  auto records = co_await NodeTable::instance().directory().list(after, left);
  if (!records) {
    answer->set_value(std::move(records).error());
    co_return;
  }
  for (ObjectRecord& record : *records) result.push_back(to_info(std::move(record)));
  answer->set_value(std::move(result));
}

Result<service::NodeObjectsList> Control::object_counts() {
  using Counts = service::NodeObjectsList;
  return asker_.ask<Counts>(kCountLimit, [this](Answer<Counts> answer) { return count_objects(std::move(answer)); });
}

task<void> Control::count_objects(Answer<service::NodeObjectsList> answer) {
  const std::vector<Member> members = node_.members();
  std::vector<task<Result<ObjectCounts>>> questions;
  for (const Member& member : members) questions.push_back(node_.object_counts(member.id));
  const std::vector<Result<ObjectCounts>> answers = co_await when_all(std::move(questions));
  service::NodeObjectsList result;
  for (std::size_t at = 0; at < members.size(); ++at) {
    if (!answers[at]) {
      result.silent.push_back(members[at].id);
      continue;
    }
    const ObjectCounts& counts = *answers[at];
    result.nodes.push_back({members[at].id, counts.known, counts.representatives, counts.misses, counts.found, counts.asked,
                            counts.failed, counts.mean_nanos(), counts.longest_nanos});
  }
  answer->set_value(std::move(result));
}

}  // namespace ebb::frontend::cluster
