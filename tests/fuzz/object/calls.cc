#include "tests/fuzz/object/calls.h"

#include <tuple>
#include <utility>

#include "ebb/wire/codec.h"
#include "src/node/system_objects.h"
#include "src/object/home_service.h"
#include "src/observe/observer_service.h"

namespace ebb::detail::fuzz {
namespace {

struct Callable {
  std::uint64_t method;
  std::vector<std::byte> (*arguments)(Input&);
};

template <class T, auto Member>
constexpr Callable callable() {
  return {T::interface::template method_id<Member>(), [](Input& input) {
            typename SignatureOf<Member>::stored values{};
            input.fill(values);
            if constexpr (std::tuple_size_v<decltype(values)> == 0) return std::vector<std::byte>();
            else return wire::encode(values);
          }};
}

const std::vector<std::pair<ObjectId, Callable>>& callables() {
  static const std::vector<std::pair<ObjectId, Callable>> all{
      {kHomeService.id(), callable<HomeService, &HomeService::give>()},
      {kHomeService.id(), callable<HomeService, &HomeService::take>()},
      {kHomeService.id(), callable<HomeService, &HomeService::arrive>()},
      {kHomeService.id(), callable<HomeService, &HomeService::forget>()},
      {kHomeService.id(), callable<HomeService, &HomeService::keep>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::subscribe>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::apply>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::seal>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::state>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::drop>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::map>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::adopt>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::release>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::keep>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::forget>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::holdings>()},
      {kCollectiveService.id(), callable<CollectiveService, &CollectiveService::run>()},
      {kCollectiveService.id(), callable<CollectiveService, &CollectiveService::is_wanted>()},
      {kParcelService.id(), callable<ParcelService, &ParcelService::read>()},
      {kParcelService.id(), callable<ParcelService, &ParcelService::drop>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::spans>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::clock>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::methods>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::sample>()},
      {kPipelineService.id(), callable<PipelineService, &PipelineService::run>()},
      {kStreamService.id(), callable<StreamService, &StreamService::pull>()},
      {kStreamService.id(), callable<StreamService, &StreamService::taking>()},
      {kStreamService.id(), callable<StreamService, &StreamService::close>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::create>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::lookup>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::find>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::remove>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::retire>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::list>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::list_at>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::re_home>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::implement>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::lease>()},
      {kDirectory.id(), callable<DirectoryService, &DirectoryService::enter>()},
      {kCluster.id(), callable<ClusterService, &ClusterService::join>()},
      {kCluster.id(), callable<ClusterService, &ClusterService::heartbeat>()},
      {kCluster.id(), callable<ClusterService, &ClusterService::fence>()},
      {kNodeService.id(), callable<NodeService, &NodeService::set_members>()},
      {kNodeService.id(), callable<NodeService, &NodeService::change_members>()},
      {kNodeService.id(), callable<NodeService, &NodeService::end_object>()},
      {kNodeService.id(), callable<NodeService, &NodeService::describe>()},
      {kNodeService.id(), callable<NodeService, &NodeService::held>()},
      {kNodeService.id(), callable<NodeService, &NodeService::end_objects>()},
      {kNodeService.id(), callable<NodeService, &NodeService::swap_object>()},
      {kNodeService.id(), callable<NodeService, &NodeService::make_home>()},
      {kNodeService.id(), callable<NodeService, &NodeService::touch>()},
      {kNodeService.id(), callable<NodeService, &NodeService::object_counts>()},
      {kNodeService.id(), callable<NodeService, &NodeService::drain>()},
      {kNodeService.id(), callable<NodeService, &NodeService::stop>()},
      {kNodeService.id(), callable<NodeService, &NodeService::here>()},
      {ObjectId(), callable<Plain, &Plain::add>()},
      {ObjectId(), callable<Plain, &Plain::count>()},
      {ObjectId(), callable<Plain, &Plain::other>()},
      {ObjectId(), callable<Account, &Account::get>()},
      {ObjectId(), callable<Log, &Log::append>()},
      {ObjectId(), callable<Log, &Log::size>()},
      {ObjectId(), callable<Store, &Store::put>()},
  };
  return all;
}

}  // namespace

std::uint64_t Input::method() {
  const std::uint8_t which = byte();
  return callables()[which % callables().size()].second.method;
}

AnyCall any_call(Input& input) {
  const std::uint8_t how = input.byte();
  const auto& [object, callable] = callables()[input.byte() % callables().size()];
  AnyCall call{object, callable.method, {}};
  if (!object.valid()) call.object = input.application_object();
  call.arguments = how >= 240 ? input.bytes() : callable.arguments(input);
  return call;
}

}  // namespace ebb::detail::fuzz
