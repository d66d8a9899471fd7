#include "src/node/leasing_directory.h"

#include <string>
#include <utility>
#include <vector>

#include "ebb/object/lease.h"
#include "ebb/object/node_table.h"
#include "src/node/ask_surely.h"
#include "src/node/following_directory.h"
#include "src/node/forwarding_directory.h"
#include "src/node/system_objects.h"

namespace ebb {
namespace {

// A node that is silent for longer loses its lease, and soon its membership.
constexpr platform::Duration kDescribeTimeout = kSuspect;

class LeasingDirectory final : public ForwardingDirectory {
 public:
  using ForwardingDirectory::ForwardingDirectory;

  task<Result<ObjectRecord>> lookup(ObjectId id) override {
    // Most are there; without that a removed id would be asked for in vain.
    const NodeId holder = store().leaseholder(id);
    if (holder == kNoNode) return store().lookup(id);
    return settle_and_look_up(id, holder);
  }

  task<Result<void>> remove(ObjectId id) override {
    const NodeId holder = store().leaseholder(id);
    if (holder == kNoNode) return store().remove(id);
    return settle_and_remove(id, holder);
  }

 private:
  task<Result<ObjectRecord>> settle_and_look_up(ObjectId id, NodeId holder) {
    if (Result<void> settled = co_await settle(id, holder); !settled) co_return std::move(settled).error();
    co_return co_await store().lookup(id);
  }

  task<Result<void>> settle_and_remove(ObjectId id, NodeId holder) {
    if (Result<void> settled = co_await settle(id, holder); !settled) co_return settled;
    co_return co_await store().remove(id);
  }

  /// Afterwards the store knows what `id` names.
  task<Result<void>> settle(ObjectId id, NodeId holder) {
    task<Result<NewObject>> asking = holder == this_node() ? ask_here(id) : ask(id, holder);
    const Result<NewObject> made = co_await std::move(asking);
    if (!made) {
      // Nothing was made, or who made it is gone: the store says that there is none.
      if (made.code() == Errc::no_such_object || made.code() == Errc::node_gone) co_return Result<void>();
      co_return made.error();
    }
    std::vector<LeasedObject> one;
    one.push_back({id, *made});
    // What was entered meanwhile is passed over.
    co_return co_await store().enter(holder, std::move(one));
  }

  task<Result<NewObject>> ask_here(ObjectId id) {
    // Not before what was made earlier.
    co_await NodeTable::instance().directory().flush();
    co_return detail::describe_here(id);
  }

  /// node_gone: the holder is no member any more.
  task<Result<NewObject>> ask(ObjectId id, NodeId holder) {
    const auto asking = [id, holder](platform::Duration left) {
      return detail::kNodeService.on(holder).within(left).call<&detail::NodeService::describe>(id);
    };
    auto made = co_await detail::ask_surely(holder, platform::Clock::now() + kDescribeTimeout, asking);
    if (made.code() != Errc::node_gone || !is_member(holder)) co_return made;
    co_return Error(Errc::unavailable, "the node that would know of the object cannot be reached: " + made.error().text());
  }
};

}  // namespace

std::unique_ptr<Directory> make_leasing_directory(std::unique_ptr<Directory> store) {
  return std::make_unique<LeasingDirectory>(std::move(store));
}

}  // namespace ebb
