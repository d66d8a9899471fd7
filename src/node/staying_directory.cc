#include "src/node/staying_directory.h"

#include <string>
#include <utility>

#include "ebb/object/node_link.h"
#include "src/node/forwarding_directory.h"

namespace ebb {
namespace {

class StayingDirectory final : public ForwardingDirectory {
 public:
  using ForwardingDirectory::ForwardingDirectory;

  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) override {
    if (!is_member(home)) return refuse(home);
    if (!detail::is_leaving(home)) return store().re_home(id, epoch, home, home_core);
    return re_home_to_leaver(id, epoch, home, home_core);
  }

 private:
  /// Nobody would look at what is there any more.
  static task<Result<ObjectRecord>> refuse(NodeId home) {
    co_return Error(Errc::unavailable, "node " + std::to_string(to_number(home)) + " is no member and takes no homes");
  }

  task<Result<ObjectRecord>> re_home_to_leaver(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) {
    const auto record = co_await store().lookup(id);
    if (!record) co_return record.error();
    if (record->home != home && is_member(record->home)) {
      co_return Error(Errc::unavailable, "node " + std::to_string(to_number(home)) + " is about to leave and takes no more homes");
    }
    co_return co_await store().re_home(id, epoch, home, home_core);
  }
};

}  // namespace

std::unique_ptr<Directory> make_staying_directory(std::unique_ptr<Directory> store) {
  return std::make_unique<StayingDirectory>(std::move(store));
}

}  // namespace ebb
