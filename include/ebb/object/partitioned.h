// Objects whose state is spread over the cluster by key.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/hash.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/partition_target.h"
#include "ebb/object/type.h"
#include "ebb/wire/codec.h"

namespace ebb {

/// What a partition is told that is made anew because its owner is gone: on_lost(partition_lost) of its type, if there is
/// one, before any call reaches it. What it held is lost. It may be a coroutine, and wait (see home_lost).
struct partition_lost {
  ObjectId object;
  std::uint32_t partition = 0;
};

/// Many instances, each the owner of a share of the keys, spread over all cores of all backends by rendezvous hashing (of a
/// cluster without backends, over the front end's). `object.on_key(key).call<&T::method>(...)` goes to the instance that has
/// `key`, which the method usually takes too. A partition's calls run on one core, so it needs no lock.
///
/// When nodes come and go the partitions whose owner changes move, and no others: calls that meet one on its way wait. Its
/// state travels by save() and restore(), which the type must have (saves_state). What a node that is gone had is lost, and
/// its partitions begin anew elsewhere (partition_lost). The object's home decides who has what; when its node is gone,
/// another home asks all members what they have.
///
/// A type may say how many partitions there are: `static constexpr std::uint32_t kPartitions`, default 256, at most 4,096.
struct partitioned {
  static constexpr std::string_view name = "partitioned";
  static constexpr std::uint32_t kMaxPartitions = 4096;
  static constexpr bool kExclusive = true;
  static constexpr bool kRemade = true;
  template <class T>
  using pointer = void;
  template <class T>
  static constexpr std::uint32_t count() noexcept {
    if constexpr (requires { T::kPartitions; }) return T::kPartitions;
    return 256;
  }
  /// The partition of a key: by its bytes on the wire, so that all programs agree. Integers of all widths that are equal are
  /// one key.
  template <class T, wire::travels Key>
  static std::uint32_t partition_of(const Key& key) {
    if constexpr (std::is_integral_v<Key> && sizeof(Key) < sizeof(std::uint64_t)) {
      return partition_of<T>(static_cast<std::uint64_t>(static_cast<std::int64_t>(key)));
    }
    const Bytes bytes = wire::encode(key);
    // Mixed: the low bits of FNV-1a hear only of the low bits of each byte.
    return static_cast<std::uint32_t>(mix64(fnv1a({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) % count<T>());
  }
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ObjectId id) {
    static_assert(saves_state<T>, "a partitioned object needs `auto save() const`, which gives a partition's state as a value "
                                  "that travels, and `void restore(value)`");
    static_assert(!detail::has_root<T>, "a partitioned object has no root of its own: its partitions share nothing");
    static_assert(count<T>() > 0 && count<T>() <= kMaxPartitions, "a partitioned object has 1 to 4,096 partitions");
    static constexpr detail::PartitionType kType{&make<T>, [](void* instance) { delete static_cast<T*>(instance); },
                                                 count<T>()};
    return detail::Partitioning::make_root(id, kType);
  }
  template <class T>
  static void end_root(void* root) {
    detail::Partitioning::end_root(root);
  }
  template <class T>
  static void* on_miss(ObjectId, void* root) {
    return detail::Partitioning::join(root);
  }
  template <class T>
  static void end_representative(void*, void* root) {
    detail::Partitioning::leave(root);
  }
  static task<Result<Bytes>> serve(ObjectId id, void* representative, const detail::RemoteMethod& method, Bytes arguments,
                                   detail::ServedCaller caller) {
    return detail::Partitioning::serve(id, representative, method, std::move(arguments), std::move(caller));
  }
  static void become_home(ObjectId id) { detail::Partitioning::become_home(id); }

 private:
  template <class T>
  static void* make(ObjectId id, std::uint32_t partition, bool lost) {
    static_assert(std::is_default_constructible_v<T>, "a partition is made without arguments: give its class a constructor that "
                                                      "takes none");
    auto instance = std::make_unique<T>();
    if (lost) detail::tell_lost(*instance, partition_lost{id, partition});
    return instance.release();
  }
};

}  // namespace ebb
