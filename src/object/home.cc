#include "ebb/object/home.h"

#include <string>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "src/object/construction.h"

namespace ebb::detail {
namespace {

task<Result<Home>> ask_directory(ObjectId id, const TypeDescriptor* type) {
  NodeTable& table = NodeTable::instance();
  const auto record = co_await table.lookup(id);
  if (!record) co_return record.error();
  if (const Result<void> agreed = agrees(*record, *type); !agreed) co_return agreed.error();
  table.enter(id, *type);
  table.learn_home(id, home_of(*record));
  co_return home_of(*record);
}

}  // namespace

task<Result<Home>> find_home(ObjectId id, const TypeDescriptor* type, std::uint32_t stale) {
  NodeTable& table = NodeTable::instance();
  if (const Home known = table.home_of(id); known.epoch > stale) co_return known;
  if (stale == 0) {
    const Result<void> met = co_await table.meet(id, type);
    if (!met) co_return met.error();
    if (const Home known = table.home_of(id); known.epoch != 0) co_return known;
  }
  co_return co_await ask_directory(id, type);
}

std::uint32_t require_home(ObjectId id, const TypeDescriptor& type) {
  const NodeId node = this_node();
  const CoreIndex core = Core::current().index();
  if (is_given_away(id)) {
    throw ErrorException(Error::refusal(Errc::moved, describe(id) + " is on its way to another home"));
  }
  Home home = NodeTable::instance().home_of(id);
  // What is known may be old, but never says that this core is a home which it never was.
  if (home.node != node || home.core != core) home = block_on(ask_directory(id, &type)).value();
  if (home.node == node && home.core == core) return home.epoch;
  throw ErrorException(Error::refusal(Errc::moved, describe(id) + " lives on node " + std::to_string(to_number(home.node)) +
                                                       ", core " + std::to_string(to_number(home.core)) +
                                                       "; ref::call finds it there"));
}

CoreIndex home_here(ObjectId id) noexcept {
  const Home known = NodeTable::instance().home_of(id);
  return known.epoch != 0 && known.node == this_node() ? known.core : kAnyCore;
}

}  // namespace ebb::detail
