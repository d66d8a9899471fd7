// How a node comes to know an object.
#include <string>
#include <utility>

#include "ebb/async/context.h"
#include "ebb/object/node_table.h"
#include "ebb/object/static_object.h"
#include "src/object/construction.h"
#include "src/object/mismatch.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;
using detail::describe;

constexpr std::string_view kStartAlike = "; start all nodes from the same build";

}  // namespace

task<Result<ObjectRecord>> NodeTable::lookup(ObjectId id) {
  if (id >= kFirstDynamicObject) co_return co_await directory_->lookup(id);
  // A node of a cluster would not have started.
  if (std::string collision = detail::StaticRegistration::find_collision(id); !collision.empty()) {
    co_return Error(Errc::invalid_argument, std::move(collision));
  }
  auto record = detail::StaticRegistration::find(id);
  if (record) co_return *std::move(record);
  co_return Error(Errc::no_such_object, "this program has no static object with the id " + std::to_string(id.index()) +
                                            "; start all nodes from the same build");
}

// What the node knows agrees with `type`.
Result<void> NodeTable::agree(ObjectId id, const Entry& entry, const detail::TypeDescriptor* type) {
  if (entry.state.load(std::memory_order_acquire) >= State::destroyed) return detail::destroyed(id);
  if (type == nullptr || entry.type->interface_id == type->interface_id) return {};
  return detail::mismatch(id, entry.type->interface_name, *type);
}

Result<void> NodeTable::enter_record(ObjectId id, const ObjectRecord& record, const detail::TypeDescriptor* type) {
  if (type == nullptr) type = detail::TypeRegistration::find(record.interface_id);
  if (type == nullptr) {
    return Error(Errc::interface_mismatch, describe(id) + " is a " + record.interface_name +
                                               ", which this node's program does not have" + std::string(kStartAlike));
  }
  if (record.interface_id != type->interface_id) return detail::mismatch(id, record.interface_name, *type);
  if (record.policy != type->policy) {
    return Error(Errc::interface_mismatch, describe(id) + " is of the kind " + record.policy + ", and in this node's program a " +
                                               std::string(type->interface_name) + " is of the kind " + std::string(type->policy) +
                                               std::string(kStartAlike));
  }
  const detail::Implementation* implementation = nullptr;
  if (record.implementation != 0) {
    implementation = detail::ImplementationRegistration::find(record.implementation);
    if (implementation == nullptr || implementation->interface_id != record.interface_id) {
      return Error(Errc::interface_mismatch, describe(id) + " was swapped to an implementation that this node's program does not have" +
                                                 std::string(kStartAlike));
    }
  }
  const Entry* entry = find_or_add(id, *type, detail::Swap{implementation, record.swaps});
  learn_home(id, ebb::home_of(record));
  return agree(id, *entry, type);  // others may have met it meanwhile, or ended it
}

task<Result<void>> NodeTable::introduce(ObjectId id, const detail::TypeDescriptor* type, bool* asked) {
  if (!id.valid()) co_return detail::names_nothing();
  for (bool heard = false;; heard = true) {
    if (const Entry* entry = find(id)) co_return agree(id, *entry, type);
    const detail::FirstLookups::Answer answer = co_await first_lookups_.look_up(*this, id);
    if (answer.own) *asked = true;
    if (answer.record) co_return enter_record(id, *answer.record, type);
    if (answer.own || heard) co_return answer.record.error();
  }
}

task<Result<void>> NodeTable::meet(ObjectId id, const detail::TypeDescriptor* type) {
  bool asked = false;
  co_return co_await introduce(id, type, &asked);
}

// `entry` of an object that exists under `type` (nullptr: any that this program has); by asking the directory if this
// node has not met it, and `entry` is nullptr.
NodeTable::Entry& NodeTable::known(ObjectId id, Entry* entry, const detail::TypeDescriptor* type) {
  if (entry == nullptr) {
    bool asked = false;
    const Result<void> met = block_on(introduce(id, type, &asked));
    if (asked) misses_here().asked();
    met.value();
    entry = find(id);
    if (entry == nullptr) throw ErrorException(detail::destroyed(id));
  } else {
    agree(id, *entry, type).value();
  }
  return *entry;
}

}  // namespace ebb
