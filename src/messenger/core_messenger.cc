#include "src/messenger/core_messenger.h"

#include <algorithm>
#include <utility>

#include "ebb/async/sleep.h"

namespace ebb::messenger {
namespace {

constexpr platform::Duration kTick = std::chrono::milliseconds(500);
constexpr platform::Duration kComplaintPause = std::chrono::seconds(1);

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

/// What callers learn of a connection for which this node lacks something itself, which says nothing of the other.
Error cannot_yet(const std::string& reason) { return Error::refusal(Errc::overloaded, reason + "; nothing ran"); }

/// What callers learn of a connection that did not come about: whatever a stranger at that place did, the node is not there.
Error to_callers(const Error& reason) {
  if (reason.code() == Errc::resource_exhausted) return cannot_yet(reason.text());
  const bool as_it_is = reason.code() == Errc::unauthenticated || reason.code() == Errc::version_mismatch;
  return as_it_is ? reason : never_sent(reason.text());
}

}  // namespace

CoreMessenger::CoreMessenger(const MessengerOptions& options, MessengerHandler& handler)
    : options_(options), handler_(handler) {
  hook_ = Core::current().before_wait([this] { flush(); });
  ticker_ = Core::current().call_after(kTick, [this] { tick(); });
}

CoreMessenger::~CoreMessenger() {
  Core::current().remove_hook(hook_);
  Core::current().cancel(ticker_);
  Core::current().cancel(patience_);
}

Result<platform::Endpoint> CoreMessenger::listen(platform::Endpoint local) {
  auto listener = platform::listen(local, [this](std::unique_ptr<platform::Stream> stream) { accept(std::move(stream)); });
  if (!listener) return std::move(listener).error();
  listener_ = *std::move(listener);
  return listener_->local();
}

Hello CoreMessenger::hello_to(NodeId wanted) const {
  Hello hello;
  hello.cores = static_cast<std::uint16_t>(Core::count());
  hello.node = options_.self;
  hello.listen = local_;
  hello.wanted = wanted;
  platform::fill_random(hello.nonce);
  return hello;
}

// --- connections ---

void CoreMessenger::accept(std::unique_ptr<platform::Stream> stream) {
  if (closing_) return;
  give_way();
  auto connection = std::make_shared<Connection>(*this, Handshake::Side::accepting, hello_to(kNoNode), options_.key);
  connections_.push_back(connection);
  connection->adopt(std::move(stream));
}

/// Who has said nothing that proves it for longest gives way to whoever comes: one with the key needs a round trip for it,
/// and if it were refused, it would take this node for gone.
void CoreMessenger::give_way() {
  const auto is_unproven = [](const Shared& each) { return !each->established() && !each->outgoing(); };
  const auto unproven = std::count_if(connections_.begin(), connections_.end(), is_unproven);
  if (static_cast<std::size_t>(unproven) >= kMaxUnprovenConnections) {
    const Shared oldest = *std::find_if(connections_.begin(), connections_.end(), is_unproven);
    release(*oldest);
    oldest->end(Error(Errc::node_gone, "too many connections prove nothing"), false);
  }
  drop_ended();
  if (ended_.size() >= kMaxEndedConnections) ended_.erase(ended_.begin());
}

task<Result<CoreMessenger::Shared>> CoreMessenger::connection_to(NodeId node, platform::Instant deadline,
                                                                 cancel_token cancellation, bool control) {
  Peer& peer = peers_[node];  // stays where it is; an entry is never erased
  if (peer.connection && peer.going_on != 0) {
    ++peer.going_on;
    co_await yield();  // behind those
    --peer.going_on;
  }
  if (peer.connection) co_return peer.connection;
  if (peer.forgotten) co_return never_sent(peer.why);
  if (calls_nobody_) co_return closing();
  if (!peer.known) co_return never_sent(named(node) + " is not a member of this cluster");
  if (peer.waiters.size() >= Connection::kMaxPendingCalls - (control ? 0 : Connection::kControlCalls)) {
    co_return Error::refusal(Errc::overloaded, std::to_string(peer.waiters.size()) +
                                                   " calls wait for a connection to " + named(node) +
                                                   "; try again when some have ended");
  }
  if (!peer.opening) {
    auto connection = std::make_shared<Connection>(*this, Handshake::Side::connecting, hello_to(node), options_.key);
    if (Result<void> opened = connection->open(peer.endpoint); !opened) {
      // Nothing was heard of the other node. Only where it has no place at all, this one need not try again.
      const std::string why = "cannot connect to " + named(node) + ": " + opened.error().text();
      if (opened.code() == Errc::invalid_argument) co_return never_sent(why);
      co_return cannot_yet(why);
    }
    connections_.push_back(connection);
    peer.opening = std::move(connection);
  }
  Waiter waiter;
  waiter.timer = Core::current().call_at(deadline, [&peer, &waiter] {
    give_up(peer, waiter, Error(Errc::deadline_exceeded, "no connection to that node in time; nothing ran"));
  });
  try {
    peer.waiters.push_back(&waiter);
  } catch (...) {
    Core::current().cancel(waiter.timer);
    throw;
  }
  const cancel_callback cancelled(cancellation, [&peer, &waiter] {
    give_up(peer, waiter, Error(Errc::cancelled, "the caller cancelled the call; nothing ran"));
  });
  Result<Shared> connected = co_await waiter.connected;
  if (waiter.settled) --peer.going_on;
  co_return connected;
}

void CoreMessenger::give_up(Peer& peer, Waiter& waiter, const Error& why) {
  if (std::erase(peer.waiters, &waiter) == 0) return;  // it has its answer
  Core::current().cancel(waiter.timer);
  waiter.connected.complete(why);
}

void CoreMessenger::settle_waiters(Peer& peer, const Result<Shared>& outcome) {
  for (Waiter* waiter : std::exchange(peer.waiters, {})) {
    Core::current().cancel(waiter->timer);
    waiter->settled = true;
    ++peer.going_on;
    waiter->connected.complete(outcome);
  }
}

void CoreMessenger::on_established(Connection& connection) {
  Peer& peer = peers_[connection.peer()];
  const Shared shared = connection.shared_from_this();
  if (peer.forgotten) {
    release(connection);
    connection.end(Error(Errc::node_gone, peer.why), false);
    return;
  }
  connection.of_stranger = !peer.known;
  if (peer.opening == shared) peer.opening.reset();
  if (!peer.connection) {
    peer.connection = shared;
  } else {
    // Who connects once more may have lost those that it had, without this side's knowing.
    for (const Shared& other : connections_) {
      if (other != shared && other->established() && other->peer() == connection.peer()) other->probe();
    }
  }
  settle_waiters(peer, shared);
}

CoreMessenger::Shared CoreMessenger::release(Connection& connection) {
  const Shared shared = connection.shared_from_this();
  std::erase(connections_, shared);
  ended_.push_back({shared, platform::Clock::now()});
  if (const auto found = peers_.find(connection.peer()); found != peers_.end()) {
    Peer& peer = found->second;
    if (peer.opening == shared) peer.opening.reset();
    if (peer.connection == shared) {
      peer.connection.reset();
      // Another one to the same peer may be open: both sides called at once.
      for (const Shared& other : connections_) {
        if (other->established() && other->peer() == connection.peer()) peer.connection = other;
      }
    }
  }
  return shared;
}

void CoreMessenger::on_ended(Connection& connection, const Error& reason) {
  const NodeId node = connection.peer();
  const auto found = peers_.find(node);
  const bool was_opening = found != peers_.end() && found->second.opening.get() == &connection;
  const Shared shared = release(connection);
  if (was_opening) settle_waiters(found->second, to_callers(reason));
  complain(connection, reason);
  // Only a peer that had proved itself can be lost.
  if (connection.was_established()) handler_.on_connection_lost(node, reason);
}

// Broken rules and failed handshakes are said on this node's log, once and not more often than an operator can read.
void CoreMessenger::complain(const Connection& connection, const Error& reason) {
  if (reason.code() == Errc::node_gone) return;  // nobody there, or gone again: whoever called hears of it
  const platform::Instant now = platform::Clock::now();
  if (now - last_complaint_ < kComplaintPause && last_complaint_ != platform::Instant{}) {
    ++unspoken_;
    return;
  }
  last_complaint_ = now;
  const std::string place = to_string(connection.remote());
  platform::write_log("messenger: " + std::string(name(reason.code())) + ": " +
                      (connection.outgoing() || connection.was_established() ? place + ": "
                                                                             : "a connection from " + place + " was refused: ") +
                      reason.text() +
                      (unspoken_ == 0 ? "" : " (and " + std::to_string(std::exchange(unspoken_, 0)) + " more like it)"));
}

void CoreMessenger::set_peer(NodeId node, platform::Endpoint endpoint) {
  Peer& peer = peers_[node];
  if (peer.forgotten) return;  // ids do not come back
  peer.endpoint = endpoint;
  if (std::exchange(peer.known, true) || !peer.connection) return;
  for (const Shared& connection : connections_) {
    if (connection->peer() == node) connection->of_stranger = false;
  }
}

void CoreMessenger::forget_peer(NodeId node, const std::string& reason) {
  Peer& peer = peers_[node];
  peer.forgotten = true;
  peer.why = reason;
  const Error error(Errc::node_gone, reason);
  for (const Shared& connection : std::vector<Shared>(connections_)) {
    if (connection->peer() != node) continue;
    release(*connection);
    connection->end(error, false);
  }
  settle_waiters(peer, never_sent(reason));
}

// --- the loop ---

void CoreMessenger::on_output(Connection& connection) { with_output_.push_back(connection.shared_from_this()); }

void CoreMessenger::flush() {
  for (std::size_t i = 0; i < with_output_.size(); ++i) with_output_[i]->flush();
  with_output_.clear();
}

void CoreMessenger::drop_ended() {
  const platform::Instant now = platform::Clock::now();
  std::erase_if(ended_, [now](const Ended& each) { return each.connection->stream_closed() || now - each.when > kCloseTimeout; });
}

void CoreMessenger::tick() {
  const platform::Instant now = platform::Clock::now();
  const platform::Duration missed = std::max(platform::Duration::zero(), now - last_tick_ - kTick);
  last_tick_ = now;
  std::vector<Shared> due;
  for (RingPlace* place = awake_.next_in_ring(); place != &awake_; place = place->next_in_ring()) {
    due.push_back(static_cast<Connection&>(*place).shared_from_this());
  }
  for (const Shared& connection : due) {
    const bool again = connection->tick(now, missed);
    if (!again) connection->leave_ring();
  }
  drop_ended();
  if (dropped_one_way_ > 1) {
    platform::write_log("messenger: overloaded: " + std::to_string(dropped_one_way_ - 1) + " more one-way calls were dropped");
  }
  dropped_one_way_ = 0;
  ticker_ = Core::current().call_after(kTick, [this] { tick(); });
}

void CoreMessenger::give_up_own_calls() {
  calls_nobody_ = true;
  const Error reason = closing();
  for (auto& [node, peer] : peers_) settle_waiters(peer, reason);
  for (const Shared& connection : std::vector<Shared>(connections_)) connection->cancel_calls(reason);
}

void CoreMessenger::begin_closing() {
  closing_ = true;
  listener_.reset();
  if (working_ == 0) idle_.complete();
  patience_ = Core::current().call_after(kCloseTimeout, [this] {
    for (const Shared& connection : connections_) connection->served.cancel_all();
    own_.cancel_all();
    give_up_own_calls();
  });
}

task<void> CoreMessenger::idle() {
  co_await idle_;
  co_await scope_.join();
}

task<void> CoreMessenger::close() {
  Core::current().cancel(patience_);
  give_up_own_calls();
  flush();
  const platform::Instant give_up = platform::Clock::now() + kCloseTimeout;
  while (std::any_of(connections_.begin(), connections_.end(), [](const Shared& each) { return each->has_output(); }) &&
         platform::Clock::now() < give_up) {
    co_await sleep_for(std::chrono::milliseconds(1));
  }
  for (const Shared& connection : std::vector<Shared>(connections_)) {
    release(*connection);
    connection->end(closing(), true);
  }
  while (std::any_of(ended_.begin(), ended_.end(), [](const Ended& each) { return !each.connection->stream_closed(); }) &&
         platform::Clock::now() < give_up) {
    co_await sleep_for(std::chrono::milliseconds(1));
  }
  with_output_.clear();
  ended_.clear();
  // Not peers_: callers that waited have their answers, and look at their entries when they go on.
}

}  // namespace ebb::messenger
