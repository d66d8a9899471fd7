// A small world for the network stack: nodes of several cores, one seeded and troubled link, time that jumps from
// event to event. Nothing here sleeps or reads a clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "kernel/net/stack.h"
#include "kernel/net/wire/internet.h"
#include "kernel/net/wire/link.h"
#include "kernel/net/wire/tcp.h"

namespace net_test {

using ebb::platform::Duration;
using ebb::platform::Endpoint;
using ebb::platform::Instant;
using kernel::net::Config;
using kernel::net::Ipv4Config;
using kernel::net::ReceiveFlags;
using kernel::net::Stack;
using Frame = std::vector<std::byte>;

/// Per mille of frames that suffer each trouble; a reordered frame is held up by up to max_delay.
struct Trouble {
  unsigned lose = 0, duplicate = 0, corrupt = 0, reorder = 0;
  Duration delay = std::chrono::microseconds(50);
  Duration max_delay = std::chrono::milliseconds(3);
};

class World;

/// One machine: a stack per core, all with one address.
class Node {
 public:
  Node(World& world, std::uint8_t number, Config config);
  ~Node();
  Stack& stack(std::size_t core = 0);
  std::size_t core_count() const { return cores_.size(); }
  void set_address(std::optional<Ipv4Config> address);
  std::uint32_t address() const { return 0x0a000000u | number_; }
  const kernel::net::MacAddress& mac() const { return mac_; }
  /// transmit() refuses this many frames from now on.
  unsigned full_ring = 0;

 private:
  friend class World;
  struct Core;
  World& world_;
  std::uint8_t number_;
  kernel::net::MacAddress mac_;
  kernel::net::Shared shared_;
  std::vector<std::unique_ptr<Core>> cores_;
};

class World {
 public:
  explicit World(std::uint64_t seed = 1) : random(seed) {}
  Node& add(Config config = {}, bool with_address = true);
  /// Runs events until `done`, or until `limit` of virtual time has passed; says which.
  bool run(const std::function<bool()>& done, Duration limit = std::chrono::seconds(300));
  void run_for(Duration time) { run([] { return false; }, time); }
  /// A frame that appears on the link.
  void inject(Frame frame, const Node* sender = nullptr);

  Instant now{std::chrono::hours(1)};
  Trouble trouble;
  std::mt19937_64 random;
  /// Sees every frame sent; false drops it.
  std::function<bool(const Frame&)> filter;

 private:
  friend class Node;
  struct Event {
    Instant at;
    std::uint64_t order;
    Node* node;
    std::size_t core;
    Frame frame;
    ReceiveFlags flags;
    bool operator<(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  void schedule(Duration after, Node& node, std::size_t core, Frame frame, ReceiveFlags flags);
  bool chance(unsigned per_mille) { return per_mille != 0 && random() % 1000 < per_mille; }
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::vector<std::unique_ptr<Node>> nodes_;
};

/// An owner of a stream that notes everything, and can be told to answer.
class Peer final : public ebb::platform::StreamHandler {
 public:
  void on_connected() override { connected = true; }
  void on_data(std::span<const std::byte> bytes) override;
  void on_writable() override { pump(); }
  void on_closed(ebb::Result<void> reason) override;
  /// Sends `bytes` as the stream takes them, then closes if asked.
  void send(std::string bytes, bool then_close = false);
  void pump();

  std::unique_ptr<ebb::platform::Stream> stream;
  std::string received;
  bool connected = false;
  unsigned closed = 0;
  std::optional<ebb::Errc> error;
  std::function<void(Peer&)> data_hook;  ///< after each on_data
  std::function<void(Peer&)> close_hook;

 private:
  std::string to_send_;
  std::size_t sent_ = 0;
  bool close_when_sent_ = false;
};

/// Listens on a core and keeps what it accepts.
struct Server {
  Server(Node& node, std::uint16_t port, std::size_t core = 0);
  std::vector<std::unique_ptr<Peer>> peers;
  std::unique_ptr<ebb::platform::Listener> listener;
  std::function<void(Peer&)> on_accept;
};

/// Connects `peer` from a core; a failure is a test failure.
void connect(Node& from, Peer& peer, Endpoint to, std::size_t core = 0);

/// Bytes that no shift or repetition of themselves equals.
std::string pattern(std::size_t size, std::uint64_t seed);

/// A TCP frame made by hand; checksums are filled in.
Frame tcp_frame(const Node& to, std::uint32_t source, std::uint16_t source_port, std::uint16_t destination_port,
                std::uint32_t sequence, std::uint32_t acknowledgement, std::uint8_t flags, std::string_view payload = {});
/// The TCP segment in a frame, if there is one. The view points into the frame.
std::optional<kernel::net::wire::TcpSegment> tcp_of(const Frame& frame);

}  // namespace net_test
