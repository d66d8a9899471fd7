// The directory as nodes other than the front end see it: every question goes there.
#include "src/node/remote_directory.h"

#include <utility>

#include "ebb/object/lease.h"
#include "src/node/ask_surely.h"
#include "src/node/system_objects.h"

namespace ebb {
namespace {

/// One who has left its cluster has nobody to ask: without a link the front end would be this node itself.
template <class Answer>
task<Answer> nobody() {
  co_return Error(Errc::cancelled, "this node has left its cluster");
}

template <class Ask>
auto ask_once(Ask ask) {
  using Answer = typename decltype(ask(detail::kDirectory.on(kFrontEndNode)))::value_type;
  if (detail::node_link() == nullptr) return nobody<Answer>();
  return ask(detail::kDirectory.on(kFrontEndNode));
}

/// What changes nothing is asked again when a connection was lost; a node that has lost the front end itself ends, and cancels what
/// waits.
template <class Ask>
auto ask_surely(Ask ask) {
  using Answer = typename decltype(ask(detail::kDirectory.on(kFrontEndNode)))::value_type;
  if (detail::node_link() == nullptr) return nobody<Answer>();
  auto within = [ask = std::move(ask)](platform::Duration left) { return ask(detail::kDirectory.on(kFrontEndNode).within(left)); };
  return detail::ask_surely(kFrontEndNode, platform::Clock::now() + kDefaultTimeout, std::move(within));
}

class RemoteDirectory final : public Directory {
 public:
  task<Result<ObjectRecord>> create(NewObject wanted) override {
    return ask_once([&wanted](auto front_end) { return front_end.template call<&detail::DirectoryService::create>(std::move(wanted)); });
  }
  task<Result<ObjectRecord>> lookup(ObjectId id) override {
    return ask_surely([id](auto front_end) { return front_end.template call<&detail::DirectoryService::lookup>(id); });
  }
  task<Result<ObjectRecord>> find(std::string name) override {
    return ask_surely([name = std::move(name)](auto front_end) {
      return front_end.template call<&detail::DirectoryService::find>(name);
    });
  }
  task<Result<void>> remove(ObjectId id) override {
    return ask_surely([id](auto front_end) { return front_end.template call<&detail::DirectoryService::remove>(id); });
  }
  task<Result<void>> retire(ObjectId id, std::uint64_t view) override {
    // One that comes again finds nothing to retire, and whoever asks takes no notice of the answer.
    return ask_surely([id, view](auto front_end) {
      return front_end.template call<&detail::DirectoryService::retire>(id, view);
    });
  }
  task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit) override {
    return ask_surely([after, limit](auto front_end) {
      return front_end.template call<&detail::DirectoryService::list>(after, limit);
    });
  }
  task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit) override {
    return ask_surely([home, after, limit](auto front_end) {
      return front_end.template call<&detail::DirectoryService::list_at>(home, after, limit);
    });
  }
  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) override {
    return ask_once([=](auto front_end) {
      return front_end.template call<&detail::DirectoryService::re_home>(id, epoch, home, home_core);
    });
  }
  task<Result<std::uint64_t>> implement(ObjectId id, std::uint64_t implementation) override {
    return ask_once([=](auto front_end) { return front_end.template call<&detail::DirectoryService::implement>(id, implementation); });
  }
  task<Result<IdLease>> lease(NodeId, std::uint32_t wanted) override {
    return ask_once([=](auto front_end) { return front_end.template call<&detail::DirectoryService::lease>(wanted); });
  }
  task<Result<void>> enter(NodeId, std::vector<LeasedObject> objects) override {
    return ask_once([&objects](auto front_end) {
      return front_end.within(kSuspect).template call<&detail::DirectoryService::enter>(std::move(objects));
    });
  }
  // The front end's business.
  NodeId leaseholder(ObjectId) override { return kNoNode; }
  task<Result<void>> end_leases(NodeId) override { co_return Result<void>(); }
};

}  // namespace

std::unique_ptr<Directory> make_remote_directory() { return std::make_unique<RemoteDirectory>(); }

namespace detail {

task<Result<ObjectRecord>> DirectoryService::create(NewObject wanted) {
  return NodeTable::instance().directory().create(std::move(wanted));
}
task<Result<ObjectRecord>> DirectoryService::lookup(ObjectId id) { return NodeTable::instance().directory().lookup(id); }
task<Result<ObjectRecord>> DirectoryService::find(std::string name) {
  return NodeTable::instance().directory().find(std::move(name));
}
task<Result<void>> DirectoryService::remove(ObjectId id) { return NodeTable::instance().directory().remove(id); }
task<Result<void>> DirectoryService::retire(ObjectId id, std::uint64_t view) {
  if (cluster_view_version() != view) {
    co_return Error(Errc::unavailable, "other nodes have joined or left; the id is not used again");
  }
  co_return co_await NodeTable::instance().directory().retire(id, view);
}
task<Result<std::vector<ObjectRecord>>> DirectoryService::list(ObjectId after, std::uint32_t limit) {
  return NodeTable::instance().directory().list(after, limit);
}
task<Result<std::vector<ObjectRecord>>> DirectoryService::list_at(NodeId home, ObjectId after, std::uint32_t limit) {
  return NodeTable::instance().directory().list_at(home, after, limit);
}
task<Result<ObjectRecord>> DirectoryService::re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) {
  return NodeTable::instance().directory().re_home(id, epoch, home, home_core);
}
task<Result<std::uint64_t>> DirectoryService::implement(ObjectId id, std::uint64_t implementation) {
  return NodeTable::instance().directory().implement(id, implementation);
}
task<Result<IdLease>> DirectoryService::lease(const call_context& context, std::uint32_t wanted) {
  return NodeTable::instance().directory().lease(context.caller, wanted);
}
task<Result<void>> DirectoryService::enter(const call_context& context, std::vector<LeasedObject> objects) {
  return NodeTable::instance().directory().enter(context.caller, std::move(objects));
}

}  // namespace detail
}  // namespace ebb
