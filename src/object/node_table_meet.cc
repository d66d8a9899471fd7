// How a node comes to know an object.
#include <exception>
#include <string>
#include <utility>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
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
                                            std::string(kStartAlike));
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
  if (Result<void> agreed = detail::agrees(record, *type); !agreed) return agreed;
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

// Asks the directory, also for those who join meanwhile. They hear it when the table has it, so that who comes later finds it
// there.
task<Result<void>> NodeTable::ask(ObjectId id, const detail::TypeDescriptor* type) {
  detail::FirstLookups::Answer answer;
  Result<void> met;
  std::exception_ptr thrown;
  try {
    answer = co_await lookup(id);
    met = *answer ? enter_record(id, **answer, type) : answer->error();
  } catch (...) {
    thrown = std::current_exception();
  }
  first_lookups_.tell(id, answer);
  if (thrown) std::rethrow_exception(thrown);
  co_return met;
}

task<Result<void>> NodeTable::introduce(ObjectId id, const detail::TypeDescriptor* type, bool* asked) {
  if (!id.valid()) co_return detail::names_nothing();
  for (bool heard = false;;) {
    if (const Entry* entry = find(id)) co_return agree(id, *entry, type);
    detail::FirstLookups::Asker me{Core::current().index(), {}, {}};
    if (first_lookups_.join(id, me)) {
      if (find(id) == nullptr) {
        *asked = true;
        co_return co_await ask(id, type);
      }
      first_lookups_.tell(id, {});  // another has told, and entered, what it heard since this event looked
    } else {
      co_await me.answered;
      if (me.answer && *me.answer) co_return enter_record(id, **me.answer, type);
      // That there is nothing may be older than the object: the question was asked before this event came.
      if (me.answer && heard) co_return me.answer->error();
      heard = me.answer.has_value();
    }
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
