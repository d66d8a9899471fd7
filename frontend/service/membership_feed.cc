// Hands each change to each watcher's bounded queue.
#include "frontend/service/membership_feed.h"

#include <chrono>

namespace ebb::frontend::service {

MembershipFeed::Watcher::~Watcher() {
  std::lock_guard lock(feed_.mutex_);
  feed_.watchers_.erase(this);
}

MembershipFeed::Watcher::State MembershipFeed::Watcher::next(MembershipChange& change) {
  std::unique_lock lock(feed_.mutex_);
  feed_.changed_.wait_for(lock, std::chrono::milliseconds(200),
                          [this] { return feed_.closed_ || fell_behind_ || !waiting_.empty(); });
  if (fell_behind_) return State::fell_behind;
  if (!waiting_.empty()) {
    change = std::move(waiting_.front());
    waiting_.pop_front();
    return State::change;
  }
  return feed_.closed_ ? State::closed : State::nothing_yet;
}

void MembershipFeed::publish(const MembershipChange& change) {
  std::lock_guard lock(mutex_);
  for (Watcher* watcher : watchers_) {
    if (watcher->waiting_.size() == kMaxWaiting) {
      watcher->fell_behind_ = true;
    } else {
      watcher->waiting_.push_back(change);
    }
  }
  changed_.notify_all();
}

Result<std::unique_ptr<MembershipFeed::Watcher>> MembershipFeed::watch() {
  std::lock_guard lock(mutex_);
  if (watchers_.size() == kMaxWatchers) {
    return Error(Errc::overloaded, std::to_string(kMaxWatchers) + " watchers are connected already; end one first");
  }
  std::unique_ptr<Watcher> watcher(new Watcher(*this));
  watchers_.insert(watcher.get());
  return watcher;
}

void MembershipFeed::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace ebb::frontend::service
