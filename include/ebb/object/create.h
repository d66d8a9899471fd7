// The beginning and the end of an object.
#pragma once

#include <string>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/directory.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/ref.h"
#include "ebb/object/type.h"

namespace ebb {

namespace detail {

template <object_type T>
task<Result<ref<T>>> create(NodeId home, CoreIndex home_core, std::string name) {
  static_cast<void>(&Registered<T>::entry);
  if (!has_core(home, home_core)) {
    co_return Error(Errc::invalid_argument, "an object cannot have its home on node " + std::to_string(to_number(home)) +
                                                ", core " + std::to_string(to_number(home_core)) + ": there is none");
  }
  NodeTable& table = NodeTable::instance();
  NewObject wanted{std::string(T::interface::name), T::interface::id, std::string(policy_of<T>::name), home, home_core,
                   std::move(name)};
  auto record = co_await table.directory().create(std::move(wanted));
  if (!record) co_return std::move(record).error();
  table.enter(record->id, kTypeDescriptor<T>);
  table.learn_home(record->id, home_of(*record));
  co_return ref<T>::unchecked(record->id);
}

/// What the record names, if it is a T.
template <object_type T>
task<Result<ref<T>>> open(task<Result<ObjectRecord>> lookup) {
  static_cast<void>(&Registered<T>::entry);
  auto record = co_await std::move(lookup);
  if (!record) co_return std::move(record).error();
  if (auto agreed = agrees(*record, kTypeDescriptor<T>); !agreed) co_return std::move(agreed).error();
  co_return ref<T>::unchecked(record->id);
}

task<Result<void>> destroy(ObjectId id, const TypeDescriptor* type);

/// Where an object is created for which nobody names a place: here; but on a node that leaves, where it would soon be lost with its
/// home, on the front end.
template <object_type T>
task<Result<ref<T>>> create_here(std::string name) {
  if constexpr (is_exclusive<policy_of<T>>()) {
    if (is_leaving(this_node())) return create<T>(kFrontEndNode, CoreIndex{0}, std::move(name));
  }
  return create<T>(this_node(), Core::current().index(), std::move(name));
}

}  // namespace detail

/// A new object of type T. No representative is made before the first use. Errors: resource_exhausted (no id left), and those of a
/// call to the front end, after which the object, and its name, may exist.
template <object_type T>
task<Result<ref<T>>> create() {
  return detail::create_here<T>({});
}

/// The same under a name, by which every node finds it. Errors besides: already_exists (another object has the name, until
/// it is destroyed), invalid_argument (longer than Directory::kMaxNameBytes). An empty one is none.
template <object_type T>
task<Result<ref<T>>> create(std::string name) {
  return detail::create_here<T>(std::move(name));
}

/// The same with its home there, for kinds that have one (home.h). Errors besides: invalid_argument (no such node or core).
template <object_type T>
task<Result<ref<T>>> create_at(NodeId home, CoreIndex home_core = CoreIndex{0}, std::string name = {}) {
  return detail::create<T>(home, home_core, std::move(name));
}

/// A reference to an existing object by its id. Errors: no_such_object, interface_mismatch, and those of a call to the front end.
template <object_type T>
task<Result<ref<T>>> open(ObjectId id) {
  return detail::open<T>(NodeTable::instance().lookup(id));
}

/// The object that was created under this name. Errors: no_such_object, interface_mismatch, and those of a call to the front end.
template <object_type T>
task<Result<ref<T>>> find(std::string name) {
  return detail::open<T>(NodeTable::instance().directory().find(std::move(name)));
}

/// Ends an object: its directory entry, then on each node every representative on its core and the root, this node
/// first. Calls that are under way are waited for (NodeTable::end says which, and how long). Errors: no_such_object (also once it
/// has ended everywhere), interface_mismatch (it is no T; nothing ends), overloaded and deadline_exceeded (see
/// NodeTable::end), and those of a call to the other nodes. After another error than no_such_object it may be called again,
/// by anybody, and ends what is left.
template <object_type T>
task<Result<void>> destroy(ref<T> object) {
  return detail::destroy(object.id(), &detail::kTypeDescriptor<T>);
}

}  // namespace ebb
