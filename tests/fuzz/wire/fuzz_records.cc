// Bytes from a peer, read as what the runtime's own objects tell each other: members, records of the directory, states on their
// way, parts of a collective call, spans and histograms. See round_trip.h.
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "ebb/base/result.h"
#include "ebb/object/collective.h"
#include "ebb/object/directory.h"
#include "ebb/object/pipeline.h"
#include "src/node/system_objects.h"
#include "src/object/collective_service.h"
#include "src/object/parcel.h"
#include "src/object/partition_service.h"
#include "src/object/replica_service.h"
#include "src/observe/observer_service.h"
#include "tests/fuzz/wire/round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ebb;
  using namespace ebb::detail;
  using wire::fuzz::check_round_trip;
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 15) {
    case 0: check_round_trip<MemberList>(bytes); break;
    case 1: check_round_trip<Fence>(bytes); break;
    case 2: check_round_trip<NewObject>(bytes); break;
    case 3: check_round_trip<std::vector<ObjectRecord>>(bytes); break;
    case 4: check_round_trip<Parcel>(bytes); break;
    case 5: check_round_trip<CollectiveRequest>(bytes); break;
    case 6: check_round_trip<CollectiveAnswer>(bytes); break;
    case 7: check_round_trip<SpanBatch>(bytes); break;
    case 8: check_round_trip<std::vector<MethodRecord>>(bytes); break;
    case 9: check_round_trip<std::tuple<PartitionMap, std::vector<Adoption>, std::vector<Held>>>(bytes); break;
    case 10: check_round_trip<std::tuple<Snapshot, ReplicaState, Home>>(bytes); break;
    case 11: check_round_trip<std::vector<Write>>(bytes); break;
    case 12: check_round_trip<std::vector<PipelineStep>>(bytes); break;
    case 13: check_round_trip<std::tuple<IdLease, std::vector<LeasedObject>>>(bytes); break;
    default: check_round_trip<std::vector<ObjectCounts>>(bytes); break;
  }
  return 0;
}
