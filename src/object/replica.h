// The parts of a replicated object: a replica a core, and on the home's core the original with its log and subscribers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/semaphore.h"
#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/queue_depth.h"
#include "ebb/base/result.h"
#include "ebb/object/replicated.h"
#include "src/object/replica_service.h"

namespace ebb::detail {

/// One core's replica; that core only.
struct Replica {
  enum class Stage { absent, joining, live };
  Stage stage = Stage::absent;
  void* value = nullptr;
  std::uint32_t epoch = 0;
  std::uint32_t sealed = 0;    // epochs before it are not followed any more
  std::uint64_t writes = 0;
  struct Early {
    std::uint64_t first;
    std::vector<Write> writes;
  };
  std::vector<Early> early;    // came while joining; bounded by kMaxEarly, and in bytes by Original::kMaxUnsentBytes and a batch
  std::size_t early_bytes = 0;
};

/// The original's part beside its replica, on the home's core. Kept alive by the events that send its writes.
class Original : public std::enable_shared_from_this<Original> {
 public:
  /// Writes that some replica has not carried out; more are overloaded.
  static constexpr std::size_t kMaxUnsent = 1024;
  static constexpr std::size_t kMaxUnsentBytes = std::size_t{8} << 20;
  /// Writes that travel together.
  static constexpr std::size_t kMaxBatch = 64;
  static constexpr std::size_t kMaxBatchBytes = std::size_t{1} << 20;
  /// One that is larger travels alone, up to what a message carries besides what says which write it is.
  static constexpr std::size_t kMaxWriteBytes = 4 * 1024 * 1024 - 1024;  // of a message (docs/protocol.md), with room for what goes along

  Original(ObjectId id, const TypeDescriptor& type, void* value, std::uint32_t epoch, std::uint64_t writes)
      : id_(id), type_(type), value_(value), epoch_(epoch), writes_(writes) {}

  std::uint32_t epoch() const noexcept { return epoch_; }
  std::uint64_t writes() const noexcept { return writes_; }
  const void* value() const noexcept { return value_; }

  /// moved: the core has made a later attempt.
  Result<Snapshot> subscribe(NodeId node, CoreIndex core, std::uint64_t attempt);
  /// Carries out a write and waits until all replicas have.
  task<Result<Bytes>> write(const RemoteMethod& method, Bytes arguments, ServedCaller caller);
  /// No more is sent; writes that wait end with cancelled.
  void end();

 private:
  struct Subscriber {
    NodeId node;
    CoreIndex core;
    std::uint32_t generation;
    std::uint64_t attempt;
    std::uint64_t acknowledged;  // number of writes it has carried out
    bool sending = false;
  };
  struct Waiter {
    std::uint64_t write;
    Completion<Result<void>>* done;
  };

  Subscriber* find(NodeId node, CoreIndex core, std::uint32_t generation);
  void remove(NodeId node, CoreIndex core, std::uint32_t generation);
  void send(Subscriber& subscriber);
  static Detached send_all(std::shared_ptr<Original> self, NodeId node, CoreIndex core, std::uint32_t generation);
  std::vector<Write> batch_from(std::uint64_t first) const;
  /// Whoever waits for what all replicas have carried out goes on, and the log forgets it.
  void settle();

  const ObjectId id_;
  const TypeDescriptor& type_;
  void* const value_;
  const std::uint32_t epoch_;
  std::uint64_t writes_;               // carried out here
  std::deque<Write> log_;              // the last of them
  std::size_t log_bytes_ = 0;
  QueueDepth log_depth_{Bounded::unsent_writes, Core::current().index(), kMaxUnsent};
  std::vector<Subscriber> subscribers_;  // bounded by the cores of the cluster
  std::uint32_t last_generation_ = 0;
  std::deque<Waiter> waiters_;         // by write; bounded by kMaxUnsent
  bool ended_ = false;
};

/// A node's part of a replicated object.
struct ReplicaRoot {
  explicit ReplicaRoot(std::size_t cores) : replicas(cores) {}
  std::vector<Replica> replicas;          // by core, each used on its core only
  std::atomic<CoreIndex> home{kAnyCore};  // the core that the next two belong to, once there is an original
  std::shared_ptr<Original> original;
  Semaphore promotion{1};
};

}  // namespace ebb::detail
