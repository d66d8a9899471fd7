// The event sources of one core: an epoll instance, read edge-triggered, and the sockets that are asked without it. Private to
// src/hosted.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ebb/base/result.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"

namespace ebb::platform::hosted {

/// What a descriptor's readiness is told to, from inside poll() or wait().
class Watcher {
 public:
  virtual ~Watcher() = default;
  /// Events as of epoll_ctl(2), each told once (EPOLLET); kLook when it is asked to look by itself.
  virtual void on_ready(std::uint32_t events) = 0;
  /// The moment given to CoreIo::set_deadline has come.
  virtual void on_deadline() = 0;
};

/// Instead of events: something that asked for it (CoreIo::look_again) is to try whatever it has to do, to the end.
inline constexpr std::uint32_t kLook = 0;

/// A watched descriptor's place. Stays distinct from all later ones of the same place.
struct WatchId {
  std::uint32_t place = 0;
  std::uint32_t generation = 0;
};

/// One core's; used by its thread only.
///
/// A system call costs as much as some hundred polls of memory, so a poll makes one where it can: a socket that has just
/// received something is *busy*, and is read without asking epoll first, until it has come up empty kBusyPolls times in a row.
class CoreIo {
 public:
  /// `wake_descriptor` is the core's eventfd, which outlives this. Throws std::system_error.
  explicit CoreIo(int wake_descriptor);
  ~CoreIo();
  CoreIo(const CoreIo&) = delete;
  CoreIo& operator=(const CoreIo&) = delete;

  /// A bounded batch; true if anything came.
  bool poll();
  void wait(Instant deadline);

  /// Tells `watcher` of `descriptor` from now on, and keeps it until forget(), which comes before the descriptor is closed.
  Result<WatchId> watch(int descriptor, std::shared_ptr<Watcher> watcher);
  void forget(WatchId id) noexcept;
  /// on_ready(kLook) from the next poll(), once, however often this is called before.
  void look_again(WatchId id);
  /// One a watcher: the last one given counts.
  void set_deadline(WatchId id, Instant when);
  /// Called by a watcher that has received something: it is looked at, with EPOLLIN, at every poll for a while.
  void received(WatchId id) noexcept;

  /// Where whoever reads may put what it reads, until it returns.
  std::span<std::byte> scratch() noexcept { return scratch_; }

 private:
  static constexpr std::size_t kBatch = 64;          // events told by one poll()
  static constexpr std::size_t kMostBusy = 2;        // sockets that are read without asking epoll
  static constexpr std::uint32_t kBusyPolls = 64;    // how often one may come up empty before it is not busy any more
  static constexpr std::uint32_t kPollsPerAsk = 4;   // of which one asks epoll, while a few sockets are busy
  static constexpr Duration kLongestUnasked = std::chrono::milliseconds(1);  // but where polls are rare, each does
  static constexpr std::size_t kScratchBytes = 64 * 1024;

  struct Place {
    std::shared_ptr<Watcher> watcher;  // nullptr: free
    std::uint32_t generation = 0;
    int descriptor = -1;
    bool again = false;  // stands in again_
    std::multimap<Instant, WatchId>::iterator deadline;
  };
  struct Busy {
    WatchId id;
    std::uint32_t empty_polls = 0;
  };

  bool watched(WatchId id) const noexcept { return places_[id.place].generation == id.generation; }
  /// nullptr if it has been forgotten.
  std::shared_ptr<Watcher> find(WatchId id) const noexcept;
  bool tell(WatchId id, std::uint32_t events);
  bool ask(const timespec& timeout);
  bool look_at_busy();
  bool tell_those_who_asked();
  bool tell_deadlines();

  const int epoll_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_places_;
  std::vector<WatchId> again_;
  std::vector<WatchId> looking_;  // again_ of the poll that is under way
  std::multimap<Instant, WatchId> deadlines_;
  std::array<Busy, kMostBusy> busy_;
  std::size_t busy_count_ = 0;
  std::uint32_t polls_ = 0;
  Instant asked_;  // epoll, at last
  std::unique_ptr<std::byte[]> scratch_bytes_ = std::make_unique_for_overwrite<std::byte[]>(kScratchBytes);
  std::span<std::byte> scratch_{scratch_bytes_.get(), kScratchBytes};
};

/// The calling core's; only between enter_core() and leave_core().
CoreIo& current_io() noexcept;

/// unavailable / node_gone / address_in_use / ... for what the operating system said (an errno) about `what`.
Error to_error(int code, const std::string& what, Errc otherwise);

}  // namespace ebb::platform::hosted
