// Values of the types that the runtime's own objects take, from bytes: mostly such as mean something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/object/collective.h"
#include "ebb/object/directory.h"
#include "ebb/object/pipeline.h"
#include "src/node/system_objects.h"
#include "src/object/collective_service.h"
#include "src/object/parcel.h"
#include "src/object/partition_service.h"
#include "src/object/replica_service.h"

namespace ebb::detail::fuzz {

class Input {
 public:
  /// `objects`: of an application; one at least.
  Input(std::span<const std::byte> bytes, std::vector<ObjectId> objects) : rest_(bytes), objects_(std::move(objects)) {}

  bool empty() const noexcept { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::vector<std::byte> bytes() {
    const std::size_t wanted = byte();  // taken first: it shortens the rest
    const auto taken = rest_.first(std::min(wanted, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

  /// A small number, a power of two less one, or one of a method.
  std::uint64_t number() {
    const std::uint8_t how = byte();
    if (how < 128) return how % 16;
    if (how < 192) return (std::uint64_t{1} << how % 64) - 1;
    return method();
  }

  template <class T>
    requires std::is_arithmetic_v<T>
  void fill(T& value) { value = static_cast<T>(number()); }
  template <class T>
    requires std::is_enum_v<T>
  void fill(T& value) { value = static_cast<T>(byte() % 8); }
  /// The runtime's own, or one of an application.
  void fill(ObjectId& id) {
    const std::uint8_t which = byte();
    id = which < 64 ? ObjectId(which) : application_object();
  }
  void fill(NodeId& node) { node = NodeId{byte() % 4u}; }
  void fill(CoreIndex& core) { core = CoreIndex(static_cast<std::uint16_t>(byte() % 4)); }
  void fill(std::vector<std::byte>& value) { value = bytes(); }
  template <class T>
  void fill(std::vector<T>& values) {
    values.resize(byte() % 8);
    for (T& each : values) fill(each);
  }
  void fill(std::string& text) {
    const std::vector<std::byte> taken = bytes();
    text.assign(reinterpret_cast<const char*>(taken.data()), taken.size());
  }
  /// A port of this machine that nobody listens on.
  void fill(platform::Endpoint& endpoint) { endpoint = {0x7f00'0001, 1}; }
  void fill(Member& member) { fill(member.id), fill(member.cores), fill(member.endpoint), fill(member.leaving); }
  void fill(MemberList& list) { fill(list.version), fill(list.members); }
  void fill(MemberDifference& difference) {
    fill(difference.since), fill(difference.version), fill(difference.size), fill(difference.present), fill(difference.gone);
  }
  void fill(NewObject& object) {
    fill(object.interface_name), fill(object.interface_id), fill(object.policy), fill(object.home), fill(object.home_core);
    fill(object.name);
  }
  void fill(LeasedObject& leased) { fill(leased.id), fill(leased.object); }
  void fill(Home& home) { fill(home.node), fill(home.core), fill(home.epoch); }
  void fill(PartitionOwner& owner) { fill(owner.node), fill(owner.core); }
  void fill(Adoption& adoption) { fill(adoption.partition), fill(adoption.from), fill(adoption.lost); }
  void fill(Write& write) { fill(write.method), fill(write.arguments); }
  void fill(PipelineStep& step) { fill(step.method), fill(step.arguments); }
  void fill(Stop& stop) { fill(stop.node), fill(stop.cores); }
  void fill(Parcel& parcel) { fill(parcel.size), fill(parcel.number), fill(parcel.node), fill(parcel.core), fill(parcel.head); }
  void fill(Collective& all) {
    fill(all.object), fill(all.interface_id), fill(all.method), fill(all.operation), fill(all.work), fill(all.every_core);
    fill(all.arguments);
  }
  void fill(CollectiveRequest& request) {
    fill(request.origin), fill(request.number), fill(request.one_way), fill(request.below), fill(request.collective);
  }
  template <class First, class... T>
  void fill(std::tuple<First, T...>& values) {
    std::apply([this](auto&... each) { (this->fill(each), ...); }, values);
  }
  void fill(std::tuple<>&) {}

  ObjectId application_object() { return objects_[byte() % objects_.size()]; }

 private:
  /// The number of one that calls.h knows.
  std::uint64_t method();

  std::span<const std::byte> rest_;
  std::vector<ObjectId> objects_;
};

}  // namespace ebb::detail::fuzz
