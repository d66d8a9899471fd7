// See engine.h.
#include "kernel/net/tcp/engine.h"

#include <algorithm>
#include <array>
#include <bit>

namespace kernel::net::tcp {

using ebb::Errc;
using ebb::Error;
using ebb::Result;
using ebb::platform::Endpoint;
using wire::TcpSegment;
using wire::TcpSeq;

namespace {

class ListenerHandle final : public ebb::platform::Listener {
 public:
  ListenerHandle(Engine& engine, std::shared_ptr<ListenerState> state) : engine_(engine), state_(std::move(state)) {}
  ~ListenerHandle() override { engine_.remove_listener(state_); }
  Endpoint local() const override { return state_->local; }

 private:
  Engine& engine_;
  std::shared_ptr<ListenerState> state_;
};

}  // namespace

std::size_t Engine::FlowHash::operator()(const Flow& flow) const noexcept {
  const std::array<std::uint64_t, 2> words{std::uint64_t{flow.local_address} << 32 | flow.remote_address,
                                           std::uint64_t{flow.local_port} << 16 | flow.remote_port};
  return siphash(key, words);
}

Engine::Engine(Internet& internet, Shared& shared, const SipKey& key)
    : internet_(internet), shared_(shared), key_(key), budget_(config().buffer_bytes), connections_(64, FlowHash{key}), redirects_(16, FlowHash{key}) {}

Engine::~Engine() = default;

TcpSeq Engine::initial_sequence(const Flow& flow) const {
  // A clock of 4 us plus a keyed hash of the flow [RFC 6528 3].
  const auto ticks = static_cast<std::uint64_t>(now().time_since_epoch().count()) / 4000;
  return TcpSeq(static_cast<std::uint32_t>(ticks + FlowHash{{key_[1], key_[0]}}(flow)));
}

std::uint16_t Engine::max_segment() const noexcept { return static_cast<std::uint16_t>(internet_.config().mtu - 40); }

Connection* Engine::find(const Flow& flow) {
  const auto found = connections_.find(flow);
  return found == connections_.end() ? nullptr : found->second.get();
}

std::shared_ptr<ListenerState> Engine::find_listener(const Flow& flow) const {
  for (const auto& listener : listeners_) {
    if (listener->local.port == flow.local_port &&
        (listener->local.address == 0 || listener->local.address == flow.local_address))
      return listener;
  }
  return nullptr;
}

void Engine::receive(const wire::Ipv4Packet& packet, wire::Bytes frame, ReceiveFlags flags) {
  const auto segment = wire::parse_tcp(packet.payload);
  if (!segment) {
    ++statistics().dropped_malformed;
    return;
  }
  if (!flags.checksum_valid && !wire::transport_checksum_holds(packet, packet.payload)) {
    ++statistics().dropped_checksum;
    return;
  }
  flags.checksum_valid = true;
  const Flow flow{packet.destination, packet.source, segment->destination_port, segment->source_port};
  const Config& config = internet_.config();
  if (!flags.final && config.core_count > 1) {
    const CoreIndex owner = core_of(flow, config.core_count);
    if (owner != config.core) {
      if (flags.passed) {  // the other core hashes like we do: this cannot be meant for us
        ++statistics().dropped_not_ours;
        return;
      }
      flags.passed = true;
      ++statistics().frames_passed;
      internet_.environment().pass(owner, frame, flags);
      return;
    }
  }
  Connection* connection = find(flow);
  if (connection != nullptr && connection->state() == State::closed) {  // ended, not yet deleted
    delete_retired();
    connection = nullptr;
  }
  const bool plain_syn = segment->has(wire::kTcpSyn) && !segment->has(wire::kTcpAck) && !segment->has(wire::kTcpRst);
  if (connection != nullptr && connection->state() == State::time_wait && plain_syn &&
      segment->sequence > connection->receive_next()) {
    connection->forget();  // the peer uses the port again [RFC 9293 3.6.1]
    delete_retired();
    connection = nullptr;
  }
  if (connection != nullptr) {
    connection->on_segment(*segment);
    schedule(*connection);
    delete_retired();
    return;
  }
  const auto listener = find_listener(flow);
  if (listener && plain_syn) {
    open_passively(flow, *segment, listener);
    return;
  }
  if (!flags.final && !(listener && segment->has(wire::kTcpSyn)) && redirect(flow, *segment, frame, flags)) return;
  reset(flow, *segment);
}

bool Engine::redirect(const Flow& flow, const TcpSegment& segment, wire::Bytes frame, ReceiveFlags flags) {
  auto known = redirects_.find(flow);
  if (known == redirects_.end()) {
    if (!segment.has(wire::kTcpSyn) || segment.has(wire::kTcpAck)) return false;
    const std::uint64_t cores = shared_.cores(flow.local_port) & ~(std::uint64_t{1} << to_number(internet_.config().core));
    if (cores == 0) return false;
    auto pick = FlowHash{key_}(flow) % static_cast<std::size_t>(std::popcount(cores));
    std::uint64_t left = cores;
    while (pick-- != 0) left &= left - 1;
    if (redirects_.size() >= kMaxRedirects) {
      redirects_.erase(redirect_order_.front());
      redirect_order_.pop_front();
    }
    known = redirects_.emplace(flow, static_cast<CoreIndex>(std::countr_zero(left))).first;
    redirect_order_.push_back(flow);
  }
  flags.passed = true;
  flags.final = true;
  ++statistics().frames_passed;
  internet_.environment().pass(known->second, frame, flags);
  return true;
}

void Engine::open_passively(const Flow& flow, const TcpSegment& syn, std::shared_ptr<ListenerState> listener) {
  if (connections_.size() >= config().max_connections || listener->half_open >= config().max_half_open) {
    ++statistics().dropped_backlog;  // the peer repeats its SYN
    return;
  }
  auto connection = std::make_unique<Connection>(*this, flow, initial_sequence(flow), max_segment());
  Connection& made = *connection;
  connections_.emplace(flow, std::move(connection));
  made.answer(syn, std::move(listener));
}

void Engine::reset(const Flow& flow, const TcpSegment& segment) {
  if (segment.has(wire::kTcpRst)) return;
  ++statistics().resets_sent;
  Outgoing answer;  // [RFC 9293 3.10.7.1]
  if (segment.has(wire::kTcpAck)) {
    answer.sequence = segment.acknowledgement;
    answer.flags = wire::kTcpRst;
  } else {
    answer.acknowledgement = segment.sequence + segment.length();
    answer.flags = wire::kTcpRst | wire::kTcpAck;
  }
  send(flow, answer, {});
}

bool Engine::send(const Flow& flow, const Outgoing& segment, const Pieces& payload) {
  std::array<std::byte, kFrameHeaderBytes + sizeof(wire::TcpHeader) + 8> headers;
  std::size_t options = 0;
  const auto tcp = std::span(headers).subspan(kFrameHeaderBytes);
  const auto put = [&](std::initializer_list<unsigned> bytes) {
    for (unsigned byte : bytes) tcp[sizeof(wire::TcpHeader) + options++] = static_cast<std::byte>(byte);
  };
  if (segment.max_segment) put({2, 4, unsigned{*segment.max_segment} >> 8, unsigned{*segment.max_segment} & 0xff});
  if (segment.window_shift) put({1, 3, 3, *segment.window_shift});
  const std::size_t header_bytes = sizeof(wire::TcpHeader) + options;

  wire::TcpHeader header{};
  header.source_port = flow.local_port;
  header.destination_port = flow.remote_port;
  header.sequence = segment.sequence.value();
  header.acknowledgement = segment.acknowledgement.value();
  header.offset = static_cast<std::uint8_t>(header_bytes / 4 << 4);
  header.flags = segment.flags;
  header.window = segment.window;

  OutgoingFrame frame;
  frame.headers = std::span(headers).first(kFrameHeaderBytes + header_bytes);
  frame.payload = payload;
  const std::size_t payload_bytes = payload[0].size() + payload[1].size();
  // With segmentation the link puts each segment's own length into the sum.
  wire::Checksum sum = wire::pseudo_header(flow.local_address, flow.remote_address, wire::kProtocolTcp,
                                           header_bytes + payload_bytes);
  if (payload_bytes != 0 && internet_.config().link.transmit_checksum) {
    header.checksum = sum.sum();
    frame.partial_checksum = true;
    frame.checksum_start = static_cast<std::uint16_t>(kFrameHeaderBytes);
    frame.checksum_offset = static_cast<std::uint16_t>(wire::kTcpChecksumOffset);
    frame.segment_bytes = segment.segment_bytes;
    wire::write(tcp, header);
  } else {
    wire::write(tcp, header);
    sum.add(tcp.first(header_bytes));
    sum.add(payload[0]);
    sum.add(payload[1]);
    header.checksum = sum.value();
    wire::write(tcp, header);
  }
  return internet_.send(headers, frame, wire::kProtocolTcp, flow.local_address, flow.remote_address) !=
         Internet::Sent::ring_full;
}

void Engine::advance() {
  const Instant time = now();
  // Each entry comes up once at most: what its handler re-arms lies later than `time`.
  while (timers_.earliest() <= time) {
    Connection& connection = timers_.front();
    timers_.remove(connection);
    if (connection.deadline() > time) {
      schedule(connection);
    } else {
      connection.on_timer();
    }
  }
  std::vector<Connection*> due;
  due.swap(deferred_);
  for (Connection* connection : due) {
    connection->deferred = false;
    connection->on_deferred();
  }
  delete_retired();
}

Instant Engine::next_deadline() const noexcept {
  if (!deferred_.empty()) return Instant::min();
  return timers_.earliest();
}

void Engine::schedule(Connection& connection) {
  if (connection.state() != State::closed) timers_.due_by(connection, connection.deadline());
}

void Engine::defer(Connection& connection) {
  if (connection.deferred) return;
  connection.deferred = true;
  deferred_.push_back(&connection);
}

void Engine::retire(Connection& connection) {
  timers_.remove(connection);
  retired_.push_back(&connection);
}

void Engine::delete_retired() {
  while (!retired_.empty()) {
    Connection* connection = retired_.back();
    retired_.pop_back();
    timers_.remove(*connection);
    if (connection->deferred) std::erase(deferred_, connection);
    connections_.erase(Flow(connection->flow()));
  }
}

void Engine::enter_time_wait(const Connection& connection) {
  time_wait_.push_back(connection.flow());
  if (time_wait_.size() <= config().max_time_wait) return;
  Connection* oldest = find(time_wait_.front());
  time_wait_.pop_front();
  if (oldest != nullptr && oldest != &connection) oldest->forget();
}

void Engine::on_unreachable(std::uint32_t neighbour) {
  std::vector<Connection*> hit;
  for (auto& [flow, connection] : connections_)
    if (connection->state() == State::syn_sent && internet_.next_hop(flow.remote_address) == neighbour)
      hit.push_back(connection.get());
  for (Connection* connection : hit)
    connection->fail(Error(Errc::unavailable, "the peer's machine does not answer on the network; is it running?"), false);
  delete_retired();
}

void Engine::on_address_change() {
  const auto& address = internet_.address();
  std::vector<Connection*> hit;
  for (auto& [flow, connection] : connections_)
    if (!address || flow.local_address != address->address) hit.push_back(connection.get());
  for (Connection* connection : hit)
    connection->fail(Error(Errc::node_gone, "this node's network address changed"), false);
  // Streams may be told from inside set_address's caller; the next receive() or advance() deletes the connections.
}

std::optional<std::uint16_t> Engine::pick_port(const Endpoint& remote) {
  constexpr std::uint32_t kCount = 65536 - kFirstEphemeralPort;
  std::array<std::byte, 4> random;
  internet_.environment().fill_random(random);
  const std::uint32_t start = *wire::read<wire::U32>(random) % kCount;  // unpredictable [RFC 6056]
  const Config& all = internet_.config();
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const auto port = static_cast<std::uint16_t>(kFirstEphemeralPort + (start + i) % kCount);
    const Flow flow{internet_.address()->address, remote.address, port, remote.port};
    // Replies must come to this core, and to nobody else's connection.
    if (core_of(flow, all.core_count) == all.core && !connections_.contains(flow)) return port;
  }
  return std::nullopt;
}

Result<std::unique_ptr<ebb::platform::Stream>> Engine::connect(Endpoint remote, ebb::platform::StreamHandler& handler) {
  if (remote.address == 0 || remote.port == 0)
    return Error(Errc::invalid_argument, "connect needs a peer's address and port, not 0");
  if (!internet_.address())
    return Error(Errc::unavailable, "this node has no network address yet; wait for DHCP or set one");
  if (!internet_.has_route(remote.address) || internet_.is_broadcast(remote.address))
    return Error(Errc::unavailable, "no route to " + ebb::platform::to_string(remote) + "; check the gateway");
  if (connections_.size() >= config().max_connections)
    return Error(Errc::resource_exhausted, "this core has as many connections as it may; close some first");
  const auto port = pick_port(remote);
  if (!port) return Error(Errc::resource_exhausted, "every local port towards the peer is in use; close some connections");
  const Flow flow{internet_.address()->address, remote.address, *port, remote.port};
  auto connection = std::make_unique<Connection>(*this, flow, initial_sequence(flow), max_segment());
  Connection& made = *connection;
  connections_.emplace(flow, std::move(connection));
  std::unique_ptr<ebb::platform::Stream> stream = made.open(handler);
  return stream;
}

Result<std::unique_ptr<ebb::platform::Listener>> Engine::listen(Endpoint local, ebb::platform::AcceptHandler accept) {
  const auto taken = [&](std::uint16_t port) {
    return std::any_of(listeners_.begin(), listeners_.end(), [&](const auto& l) { return l->local.port == port; });
  };
  if (listeners_.size() >= config().max_listeners)
    return Error(Errc::resource_exhausted, "this core listens on as many ports as it may; close a listener first");
  const CoreIndex core = internet_.config().core;
  if (local.port == 0) {
    for (std::uint16_t port = kFirstListenPort; port < kFirstEphemeralPort && local.port == 0; ++port)
      if (!taken(port) && shared_.cores(port) == 0) local.port = port;
    if (local.port == 0) return Error(Errc::resource_exhausted, "no free port to listen on");
  }
  if (taken(local.port))
    return Error(Errc::address_in_use, "port " + std::to_string(local.port) + " is listened on already; choose another");
  if (!shared_.add(local.port, core))
    return Error(Errc::resource_exhausted, "this node has used as many listening ports as it may; use fixed ports");
  auto state = std::make_shared<ListenerState>(ListenerState{local, std::move(accept), 0, true});
  listeners_.push_back(state);
  return std::unique_ptr<ebb::platform::Listener>(std::make_unique<ListenerHandle>(*this, std::move(state)));
}

void Engine::remove_listener(const std::shared_ptr<ListenerState>& listener) {
  listener->open = false;
  shared_.remove(listener->local.port, internet_.config().core);
  std::erase(listeners_, listener);
  std::vector<Connection*> hit;
  for (auto& [flow, connection] : connections_)
    if (connection->state() == State::syn_received && connection->listener() == listener) hit.push_back(connection.get());
  for (Connection* connection : hit) connection->fail(Error(Errc::unavailable, "the listener is gone"), true);
}

}  // namespace kernel::net::tcp
