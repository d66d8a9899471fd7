// Membership changes on their way to whoever watches them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "ebb/base/result.h"
#include "frontend/service/cluster_control.h"

namespace ebb::frontend::service {

struct MembershipChange {
  bool joined = true;  ///< false: gone
  NodeInfo node;
  std::string reason;  ///< of a node that is gone
  std::uint64_t epoch = 0;
};

/// Any thread. publish() never waits for a watcher.
class MembershipFeed {
 public:
  static constexpr std::size_t kMaxWatchers = 32;
  /// Changes waiting for one watcher; one that falls further behind is ended.
  static constexpr std::size_t kMaxWaiting = 1024;

  class Watcher {
   public:
    enum class State { change, nothing_yet, fell_behind, closed };
    ~Watcher();
    /// Waits up to a fifth of a second.
    State next(MembershipChange& change);

   private:
    friend MembershipFeed;
    explicit Watcher(MembershipFeed& feed) : feed_(feed) {}
    MembershipFeed& feed_;
    std::deque<MembershipChange> waiting_;
    bool fell_behind_ = false;
  };

  void publish(const MembershipChange& change);
  /// overloaded at kMaxWatchers. The feed outlives its watchers.
  Result<std::unique_ptr<Watcher>> watch();
  /// Ends all watchers, present and future.
  void close();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Watcher*> watchers_;
  bool closed_ = false;
};

}  // namespace ebb::frontend::service
