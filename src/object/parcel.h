// Bytes on their way between nodes that may be more than one message carries: states of homes, partitions and replicas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/queue_depth.h"
#include "ebb/base/result.h"
#include "ebb/object.h"

namespace ebb::detail {

/// The first of the bytes, and where the others are fetched. Travels as an argument or a result, to any number of nodes in turn.
struct Parcel {
  std::uint64_t size = 0;       ///< of all the bytes
  std::uint64_t number = 0;     ///< among those that `core` keeps the rest of; 0: there is no rest
  NodeId node = kNoNode;
  CoreIndex core{};
  std::vector<std::byte> head;  ///< at most kParcelPart
};

/// What travels at a time, the most that a parcel has, and the most that a core keeps for those that fetch.
inline constexpr std::size_t kParcelPart = std::size_t{1} << 20;
inline constexpr std::size_t kMaxParcel = std::size_t{256} << 20;
inline constexpr std::size_t kMaxKeptParcels = std::size_t{512} << 20;
/// How long a core keeps a parcel that nobody reads.
inline constexpr platform::Duration kParcelLimit = std::chrono::seconds(30);

/// Makes `bytes` a parcel. Its rest is kept on this core until fetch() has it or kParcelLimit after it was last read. Errors:
/// too_large (more than kMaxParcel), overloaded (kMaxKeptParcels are on their way).
Result<Parcel> send_parcel(std::vector<std::byte> bytes);

/// All bytes of a parcel; waits. Errors: not_found (its sender keeps it no more), malformed, those of a call.
task<Result<std::vector<std::byte>>> fetch_parcel(Parcel parcel);

/// Known on every node under a fixed id; each core answers for what it keeps. Its calls are bulk: its id is above those of control.
class ParcelService {
 public:
  /// The part of parcel `number` that begins at `offset`: not empty, at most kParcelPart.
  Result<std::vector<std::byte>> read(std::uint64_t number, std::uint64_t offset);
  /// It has been fetched.
  void drop(std::uint64_t number);
  using interface = ebb::interface<"ebb.Parcel/1", method<"read", &ParcelService::read>, method<"drop", &ParcelService::drop>>;

  Result<std::uint64_t> keep(std::vector<std::byte> bytes);
  std::size_t kept_bytes() const noexcept { return kept_bytes_; }

 private:
  struct Kept {
    std::vector<std::byte> bytes;
    platform::Instant until;
  };
  void expire(std::uint64_t number);

  std::map<std::uint64_t, Kept> kept_;
  std::size_t kept_bytes_ = 0;
  QueueDepth kept_depth_{Bounded::kept_parcels, Core::current().index(), kMaxKeptParcels};
  std::uint64_t next_ = 1;
};

inline constexpr auto kParcelService = ref<ParcelService>::unchecked(ObjectId(58));

}  // namespace ebb::detail
