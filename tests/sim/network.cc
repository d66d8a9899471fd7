// The simulated network: byte streams in order, with latency, cuts that hold everything back, and resets.
#include <algorithm>
#include <memory>
#include <utility>

#include "ebb/base/node_local.h"
#include "tests/sim/world.h"

namespace ebb::sim {

namespace {
// What one direction of a stream holds before send() takes no more.
constexpr std::size_t kBufferBytes = 256 * 1024;
// How long a peer retries before it gives a connection up that brings nothing through.
constexpr Time kConnectLimit = std::chrono::seconds(4);
}  // namespace

/// One direction of a connection; kept by both ends.
struct Pipe {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::size_t under_way = 0;                       // bytes
  Time last{};                                     // nothing arrives before what was sent before it
  std::deque<std::function<void()>> held;          // by a cut link
  bool full_seen = false;                          // the sender wants to hear of room
};

class SimStream final : public platform::Stream {
 public:
  SimStream(World& world, std::uint32_t node, CoreIndex core, platform::Endpoint local, platform::Endpoint remote)
      : world_(world), number_(++world.node(node).streams_made), node_(node), core_(core), local_(local), remote_(remote) {
    world_.node(node_).streams.emplace(number_, this);
  }
  ~SimStream() override {
    world_.node(node_).streams.erase(number_);
    if (alive_) *alive_ = nullptr;
    if (!closed_) notify_peer(true);
  }

  void set_handler(platform::StreamHandler& handler) noexcept override { handler_ = &handler; }
  std::size_t send(std::span<const std::byte> bytes) override;
  void set_reading(bool reading) override {
    reading_ = reading;
    if (reading_) drain_unread();
  }
  void close() override {
    if (closed_ || closing_) return;
    closing_ = true;
    notify_peer(false);
    // The orderly end is answered in a while.
    after(world_.latency() * 2, [](SimStream& self) { self.finish({}); });
  }
  platform::Endpoint local() const override { return local_; }
  platform::Endpoint remote() const override { return remote_; }

  /// On this stream's core, if it still exists by then.
  template <class What>
  void after(Time delay, What what) {
    at(world_.now() + delay, std::move(what));
  }
  template <class What>
  void at(Time when, What what) {
    world_.deliver(when, node_, core_, [place = alive_, what = std::move(what)] {
      if (*place != nullptr) what(**place);
    });
  }
  /// From outside all nodes. The stream may not be there any more afterwards.
  template <class What>
  void now(What what) {
    world_.hand_over(node_, core_, [place = alive_, what = std::move(what)] {
      if (*place != nullptr) what(**place);
    });
  }
  void received(std::span<const std::byte> bytes) {
    if (closed_) return;
    if (!reading_ || !unread_.empty()) {
      unread_.insert(unread_.end(), bytes.begin(), bytes.end());
      return;
    }
    if (handler_ != nullptr) handler_->on_data(bytes);
  }
  void finish(Result<void> reason) {
    if (std::exchange(closed_, true)) return;
    if (handler_ != nullptr) handler_->on_closed(std::move(reason));
  }
  void drain_unread() {
    if (unread_.empty() || closed_) return;
    const std::vector<std::byte> bytes = std::exchange(unread_, {});
    if (handler_ != nullptr) handler_->on_data(bytes);
  }
  /// Tells the other end; at the latest when the link is whole again.
  void notify_peer(bool reset);
  void reset_here(const char* why) {
    after(world_.latency(), [why](SimStream& self) { self.finish(Error(Errc::node_gone, why)); });
  }

  World& world_;
  const std::uint64_t number_;
  const std::uint32_t node_;
  const CoreIndex core_;
  platform::StreamHandler* handler_ = nullptr;
  std::shared_ptr<SimStream*> alive_ = std::make_shared<SimStream*>(this);
  std::shared_ptr<SimStream*> peer_;  // what it points to is nullptr when the other end is gone
  std::shared_ptr<Pipe> out_;
  bool connected_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool reading_ = true;
  std::vector<std::byte> unread_;

 private:
  platform::Endpoint local_;
  platform::Endpoint remote_;
};

namespace {

/// Those that hold something back, in the order in which they began to.
std::vector<std::weak_ptr<Pipe>>& holding_pipes() {
  static std::vector<std::weak_ptr<Pipe>> all;
  return all;
}

/// Sends something through the pipe, after all that was sent before, when the link is whole.
template <class Arrive>
void transmit(World& world, const std::shared_ptr<Pipe>& pipe, Arrive arrive) {
  auto go = [&world, pipe, arrive = std::move(arrive)] {
    pipe->last = std::max(pipe->last + Time(1), world.now() + world.latency());
    arrive(pipe->last);
  };
  if (world.is_cut(pipe->from, pipe->to) || !pipe->held.empty()) {
    if (pipe->held.empty()) holding_pipes().push_back(pipe);
    pipe->held.push_back(std::move(go));
  } else {
    go();
  }
}

std::shared_ptr<Pipe> make_pipe(std::uint32_t from, std::uint32_t to) {
  auto pipe = std::make_shared<Pipe>();
  pipe->from = from;
  pipe->to = to;
  return pipe;
}

/// Bytes have arrived for a connection that their receiver knows nothing of any more: a node that runs resets it [RFC 9293
/// 3.10.7.1].
void refuse_bytes(World& world, const Pipe& pipe, const std::shared_ptr<SimStream*>& sender) {
  if (world.node(pipe.to).silent || world.is_cut(pipe.to, pipe.from)) return;
  if (SimStream* here = *sender) here->reset_here("the other end knows nothing of the connection");
}

}  // namespace

std::size_t SimStream::send(std::span<const std::byte> bytes) {
  if (!connected_ || closed_ || closing_ || !out_) return 0;
  const std::size_t taken = std::min(bytes.size(), kBufferBytes - std::min(kBufferBytes, out_->under_way));
  if (taken < bytes.size()) out_->full_seen = true;
  if (taken == 0) return 0;
  out_->under_way += taken;
  const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(taken);
  const auto copy = std::make_shared<const std::vector<std::byte>>(bytes.begin(), end);
  transmit(world_, out_, [&world = world_, pipe = out_, to = peer_, mine = alive_, copy](Time when) {
    world.at(when, [&world, pipe, to, mine, copy] {
      pipe->under_way -= copy->size();
      const bool has_room_again = std::exchange(pipe->full_seen, false);
      if (SimStream* there = *to) {
        there->now([copy](SimStream& self) { self.received(*copy); });
      } else {
        refuse_bytes(world, *pipe, mine);
      }
      SimStream* here = *mine;
      if (here == nullptr || !has_room_again) return;
      here->at(world.now(), [](SimStream& self) {
        if (!self.closed_ && self.handler_ != nullptr) self.handler_->on_writable();
      });
    });
  });
  return taken;
}

void SimStream::notify_peer(bool reset) {
  if (!out_ || !peer_) return;
  transmit(world_, out_, [&world = world_, to = peer_, reset](Time when) {
    world.at(when, [&world, to, reset] {
      SimStream* there = *to;
      if (there == nullptr) return;
      there->at(world.now(), [reset](SimStream& self) {
        self.finish(reset ? Result<void>(Error(Errc::node_gone, "the connection was reset")) : Result<void>());
      });
    });
  });
}

void break_streams(World& world, std::uint32_t node, std::uint32_t to) {
  for (const auto& [number, stream] : std::map<std::uint64_t, SimStream*>(world.node(node).streams)) {
    if (node_at(stream->remote().address) == to) stream->reset_here("the network reset the connection");
  }
}

void abandon_streams(World& world, SimNode& node, bool noisy) {
  for (const auto& [number, stream] : std::map<std::uint64_t, SimStream*>(node.streams)) {
    *stream->alive_ = nullptr;  // its node runs no more: nothing reaches it
    if (noisy && !stream->closed_) stream->notify_peer(true);
  }
  node.streams.clear();
  std::erase_if(world.listeners, [&node](const auto& each) { return each.first.first == node.number; });
}

void release_streams(World& world) {
  for (const auto& each : std::exchange(holding_pipes(), {})) {
    const auto pipe = each.lock();
    if (!pipe) continue;
    if (world.is_cut(pipe->from, pipe->to)) {
      holding_pipes().push_back(each);
    } else {
      for (auto& go : std::exchange(pipe->held, {})) go();
    }
  }
}

namespace {

/// A connection request has reached the other node.
void accept_at(World& world, std::shared_ptr<SimStream*> caller, platform::Endpoint remote, platform::Endpoint local) {
  const std::uint32_t to = node_at(remote.address);
  const auto refuse = [&world, caller] {
    if (SimStream* stream = *caller) {
      stream->at(world.now() + world.latency(), [](SimStream& self) {
        self.finish(Error(Errc::unavailable, "connection refused"));
      });
    }
  };
  const auto found = world.listeners.find({to, remote.port});
  if (found == world.listeners.end() || found->second.empty() || *caller == nullptr) return refuse();
  const Listening& listening = found->second[world.pick(0, found->second.size() - 1)];
  world.deliver(world.now(), to, listening.core, [&world, caller, remote, local, to, core = listening.core] {
    const auto still = world.listeners.find({to, remote.port});
    if (still == world.listeners.end() || *caller == nullptr) return;
    const auto mine = std::find_if(still->second.begin(), still->second.end(),
                                   [core](const Listening& each) { return each.core == core; });
    if (mine == still->second.end()) return;
    SimStream& client = **caller;
    auto stream = std::make_unique<SimStream>(world, to, core, remote, local);
    SimStream& server = *stream;
    server.peer_ = client.alive_;
    server.out_ = make_pipe(to, client.node_);
    server.connected_ = true;
    client.peer_ = server.alive_;
    client.out_ = make_pipe(client.node_, to);
    const std::shared_ptr<Pipe> back = server.out_;
    const std::shared_ptr<SimStream*> accepted = server.alive_;
    mine->accept(std::move(stream));
    if (*accepted == nullptr) return;  // refused: its end has told the caller
    transmit(world, back, [&world, caller](Time when) {
      world.at(when, [&world, caller] {
        SimStream* there = *caller;
        if (there == nullptr) return;
        there->at(world.now(), [](SimStream& self) {
          if (self.closed_) return;
          self.connected_ = true;
          if (self.handler_ != nullptr) self.handler_->on_connected();
        });
      });
    });
  });
}

class SimListener final : public platform::Listener {
 public:
  SimListener(World& world, platform::Endpoint local) : world_(world), local_(local), core_(world.core().index), node_(world.core().node) {}
  ~SimListener() override {
    const auto found = world_.listeners.find({node_, local_.port});
    if (found == world_.listeners.end()) return;
    std::erase_if(found->second, [this](const Listening& each) { return each.core == core_; });
  }
  platform::Endpoint local() const override { return local_; }

 private:
  World& world_;
  platform::Endpoint local_;
  CoreIndex core_;
  std::uint32_t node_;
};

}  // namespace
}  // namespace ebb::sim

namespace ebb::platform {

using sim::World;

Result<std::unique_ptr<Stream>> connect(Endpoint remote, StreamHandler& handler) {
  World& world = World::instance();
  const std::uint32_t from = world.core().node;
  const std::uint32_t to = sim::node_at(remote.address);
  const Endpoint local{sim::address_of(from), world.next_port++};
  auto stream = std::make_unique<sim::SimStream>(world, from, world.core().index, local, remote);
  stream->set_handler(handler);
  if (to == 0 || to > world.nodes()) {
    stream->reset_here("no route to that address");
    return std::unique_ptr<Stream>(std::move(stream));
  }
  stream->after(sim::kConnectLimit, [](sim::SimStream& self) {
    if (!self.connected_) self.finish(Error(Errc::unavailable, "no answer in 4 s"));
  });
  if (!world.is_cut(from, to)) {
    world.at(world.now() + world.latency(), [&world, caller = stream->alive_, remote, local, from, to] {
      if (world.is_cut(from, to) || world.node(to).silent) return;  // the request is lost
      sim::accept_at(world, caller, remote, local);
    });
  }
  return std::unique_ptr<Stream>(std::move(stream));
}

Result<std::unique_ptr<Listener>> listen(Endpoint local, AcceptHandler accept) {
  World& world = World::instance();
  const std::uint32_t node = world.core().node;
  if (local.port == 0) local.port = world.next_port++;
  if (local.address == 0) local.address = sim::address_of(node);
  world.listeners[{node, local.port}].push_back({node, world.core().index, std::move(accept)});
  return std::unique_ptr<Listener>(std::make_unique<sim::SimListener>(world, local));
}

std::optional<std::uint32_t> own_address() noexcept { return sim::address_of(World::instance().core().node); }

}  // namespace ebb::platform
