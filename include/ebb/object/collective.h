// Calls of every representative of an object, as trees over the nodes and then their cores; with the types erased. What a user
// writes is in everywhere.h.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/observe/call_meter.h"

namespace ebb {

/// Who took part in a call of every representative. The nodes are the cluster's members at the moment of the call; one that
/// joins later is not asked.
struct participation {
  std::uint32_t nodes = 0;            ///< that answered, also those where the object has no representative
  std::uint32_t representatives = 0;  ///< each ran the method exactly once
  /// Ordered. They were lost before their answer came: whether the method ran there is not known.
  std::vector<NodeId> lost;
  bool complete() const noexcept { return lost.empty(); }
};

namespace detail {

/// Nodes that one node asks, and cores that one core asks: the tree's fan-out.
inline constexpr std::size_t kFanOut = 8;
/// Calls of every representative that a core works on for others at a time; beyond: overloaded.
inline constexpr std::size_t kMaxCollectives = 1024;
/// How many of those that have ended a core remembers, and the bytes of their answers, in case that somebody asks again
/// because the node in between was lost.
inline constexpr std::size_t kRememberedCollectives = 4096;
inline constexpr std::size_t kRememberedBytes = std::size_t{16} << 20;

/// Folds encoded results into one on its way up; known by its id on every node of the same build.
struct FoldOperation {
  std::string_view name;
  std::uint64_t id;  ///< of the operation and the method whose results it folds
  /// At least one part. malformed, if one does not decode. May throw what the operation throws.
  Result<Bytes> (*fold)(std::vector<Bytes> parts);
};

class FoldRegistration {
 public:
  explicit FoldRegistration(const FoldOperation& operation) noexcept;
  FoldRegistration(const FoldRegistration&) = delete;
  FoldRegistration& operator=(const FoldRegistration&) = delete;
  /// nullptr if the program has none of this id.
  static const FoldOperation* find(std::uint64_t id) noexcept;

 private:
  const FoldOperation& operation_;
  const FoldRegistration* next_;
};

enum class CollectiveWork : std::uint8_t {
  call = 0,     ///< runs the method; results are dropped
  gather = 1,   ///< and each result travels to the caller
  fold = 2,     ///< and the operation folds the results
  barrier = 3,  ///< runs no method: waits for the calls that each representative has under way
};

/// What every representative is to do.
struct Collective {
  ObjectId object{};
  std::uint64_t interface_id = 0;
  std::uint64_t method = 0;
  std::uint64_t operation = 0;  ///< FoldOperation::id of CollectiveWork::fold
  CollectiveWork work = CollectiveWork::call;
  bool every_core = false;      ///< also on cores that have no representative yet: it is made
  std::vector<std::byte> arguments;
};

/// One representative's result.
struct Gathered {
  NodeId node = kNoNode;
  CoreIndex core{};
  std::vector<std::byte> result;
};

struct CollectiveAnswer {
  participation who;
  std::vector<Gathered> gathered;   ///< CollectiveWork::gather: ordered by node and core
  std::vector<std::byte> folded;    ///< CollectiveWork::fold: empty if nobody took part
};

/// Has every representative do it, at most once each, and waits for all answers until `options`' deadline. The error of a
/// representative (the first by node and core) is the whole call's; so is one in place of `collective`, and then nothing runs.
/// `label`: of the caller's span. Other errors: interface_mismatch, deadline_exceeded, cancelled, too_large (more than a parcel
/// carries), overloaded.
task<Result<CollectiveAnswer>> run_collective(Result<Collective> collective, MethodLabel label, CallOptions options);

/// The same without an answer: the value says that the request is on its way to the first nodes of the tree.
task<Result<void>> send_collective(Result<Collective> collective, MethodLabel label, CallOptions options);

}  // namespace detail
}  // namespace ebb
