#include "src/hosted/core_io.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace ebb::platform::hosted {

namespace {

constexpr std::uint32_t kWakePlace = UINT32_MAX;

std::uint64_t packed(WatchId id) noexcept { return std::uint64_t{id.generation} << 32 | id.place; }
WatchId unpacked(std::uint64_t data) noexcept {
  return {static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32)};
}

int make_epoll() {
  const int made = epoll_create1(EPOLL_CLOEXEC);
  if (made < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return made;
}

int add(int epoll, int descriptor, std::uint32_t events, WatchId id) noexcept {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.u64 = packed(id);
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

timespec until(Instant deadline) noexcept {
  const Duration left = std::max(deadline - Clock::now(), Duration::zero());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

}  // namespace

CoreIo::CoreIo(int wake_descriptor) : epoll_(make_epoll()) {
  epoll_event none;
  constexpr timespec kAtOnce{};
  // Each write to an eventfd is an edge, also when its count was not zero; so nobody need read it.
  if (add(epoll_, wake_descriptor, EPOLLIN, {kWakePlace, 0}) != 0 || epoll_pwait2(epoll_, &none, 1, &kAtOnce, nullptr) < 0) {
    const int error = errno;
    close(epoll_);
    throw std::system_error(error, std::generic_category(), "epoll_ctl or epoll_pwait2, which Linux has since 5.11");
  }
}

CoreIo::~CoreIo() {
  places_.clear();
  close(epoll_);
}

Result<WatchId> CoreIo::watch(int descriptor, std::shared_ptr<Watcher> watcher) {
  if (free_places_.empty()) {
    // With room for its return: forget() must not fail.
    if (free_places_.capacity() <= places_.size()) free_places_.reserve(std::max<std::size_t>(16, 2 * places_.size()));
    places_.push_back({nullptr, 0, -1, false, deadlines_.end()});
    free_places_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
  }
  const std::uint32_t at = free_places_.back();
  const WatchId id{at, places_[at].generation};
  if (add(epoll_, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP, id) != 0) {
    return to_error(errno, "cannot watch a socket", Errc::resource_exhausted);
  }
  free_places_.pop_back();
  places_[at].watcher = std::move(watcher);
  places_[at].descriptor = descriptor;
  return id;
}

void CoreIo::forget(WatchId id) noexcept {
  Place& place = places_[id.place];
  if (place.generation != id.generation || !place.watcher) return;
  static_cast<void>(epoll_ctl(epoll_, EPOLL_CTL_DEL, place.descriptor, nullptr));
  if (place.deadline != deadlines_.end()) deadlines_.erase(std::exchange(place.deadline, deadlines_.end()));
  ++place.generation;
  place.again = false;
  free_places_.push_back(id.place);
  // Last: the watcher's end may make or end others.
  const std::shared_ptr<Watcher> gone = std::move(place.watcher);
}

void CoreIo::look_again(WatchId id) {
  Place& place = places_[id.place];
  if (!watched(id) || place.again) return;
  again_.push_back(id);
  place.again = true;
}

void CoreIo::set_deadline(WatchId id, Instant when) {
  Place& place = places_[id.place];
  if (place.deadline != deadlines_.end()) deadlines_.erase(std::exchange(place.deadline, deadlines_.end()));
  place.deadline = deadlines_.emplace(when, id);
}

void CoreIo::received(WatchId id) noexcept {
  for (std::size_t at = 0; at < busy_count_; ++at) {
    if (packed(busy_[at].id) != packed(id)) continue;
    busy_[at].empty_polls = 0;
    return;
  }
  if (busy_count_ < kMostBusy) busy_[busy_count_++] = {id};
}

std::shared_ptr<Watcher> CoreIo::find(WatchId id) const noexcept {
  return watched(id) ? places_[id.place].watcher : nullptr;
}

bool CoreIo::tell(WatchId id, std::uint32_t events) {
  const std::shared_ptr<Watcher> watcher = find(id);
  if (watcher) watcher->on_ready(events);
  return watcher != nullptr;
}

bool CoreIo::poll() {
  bool any = tell_those_who_asked();
  any |= tell_deadlines();
  if (busy_count_ != 0) {
    any |= look_at_busy();
    // More sockets than that may be busy too, and wait for epoll.
    const bool may_skip = busy_count_ < kMostBusy && ++polls_ % kPollsPerAsk != 0;
    if (may_skip && Clock::now() - asked_ <= kLongestUnasked) return any;
  }
  return static_cast<bool>(int{any} | int{ask({})});
}

void CoreIo::wait(Instant deadline) {
  if (!again_.empty()) return;
  if (!deadlines_.empty()) deadline = std::min(deadline, deadlines_.begin()->first);
  ask(until(deadline));
}

bool CoreIo::ask(const timespec& timeout) {
  std::array<epoll_event, kBatch> events;
  const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  asked_ = Clock::now();
  for (int at = 0; at < count; ++at) {
    const WatchId id = unpacked(events[static_cast<std::size_t>(at)].data.u64);
    if (id.place != kWakePlace) tell(id, events[static_cast<std::size_t>(at)].events);
  }
  return count > 0;
}

bool CoreIo::look_at_busy() {
  bool any = false;
  for (std::size_t at = 0; at < busy_count_;) {
    const WatchId id = busy_[at].id;
    // received() sets it to 0 again. Whoever is told may also make the list longer, but no shorter.
    const std::uint32_t polls = ++busy_[at].empty_polls;
    const bool there = tell(id, EPOLLIN);
    const bool ended = there && !watched(id);  // and its owner may have heard of it
    any |= busy_[at].empty_polls == 0 || ended;
    if (!there || ended || polls > kBusyPolls) {
      busy_[at] = busy_[--busy_count_];
    } else {
      ++at;
    }
  }
  return any;
}

bool CoreIo::tell_those_who_asked() {
  if (again_.empty()) return false;
  looking_.swap(again_);
  for (const WatchId id : looking_) {
    // Before it is told: it may ask again.
    if (watched(id)) places_[id.place].again = false;
    tell(id, kLook);
  }
  looking_.clear();
  return true;
}

bool CoreIo::tell_deadlines() {
  if (deadlines_.empty()) return false;
  const Instant now = Clock::now();
  bool any = false;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const WatchId id = deadlines_.begin()->second;
    places_[id.place].deadline = deadlines_.end();
    deadlines_.erase(deadlines_.begin());
    if (const std::shared_ptr<Watcher> watcher = find(id)) watcher->on_deadline();
    any = true;
  }
  return any;
}

Error to_error(int code, const std::string& what, Errc otherwise) {
  const std::string text = what + ": " + std::generic_category().message(code);
  switch (code) {
    case ECONNREFUSED: return Error(Errc::unavailable, text + "; is the peer running there?");
    case EHOSTUNREACH:
    case ENETUNREACH: return Error(Errc::unavailable, text + "; check the address and the network");
    case EADDRINUSE: return Error(Errc::address_in_use, text + "; stop the other program or choose another port");
    case EACCES:
    case EPERM: return Error(Errc::permission_denied, text + "; choose a port above 1023 or run with more rights");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC: return Error(Errc::resource_exhausted, text + "; raise the limit of open files or memory");
    default: return Error(otherwise, text);
  }
}

}  // namespace ebb::platform::hosted
