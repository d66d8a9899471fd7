// Byte streams between nodes: TCP, seen from one core. A stream lives and dies on the core that made or accepted
// it; all calls and all callbacks happen there, callbacks only from inside platform::poll() or platform::wait().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ebb/base/result.h"

namespace ebb::platform {

/// An IPv4 address and port, both in host byte order. Address 0 in listen() means every address of the node.
struct Endpoint {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// "10.88.0.1:7001"
std::string to_string(Endpoint endpoint);
/// The reverse; nullopt for anything else.
std::optional<Endpoint> parse_endpoint(std::string_view text);

class Stream;

/// What a stream tells its owner. After on_closed no further callback comes. A callback may close, abort or
/// destroy the stream it is about.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// An outgoing connection is established (not called for accepted streams).
  virtual void on_connected() = 0;
  /// Bytes in order; the span is valid during the call only. All of it counts as consumed: an owner that wants
  /// to slow its peer calls Stream::set_reading(false).
  virtual void on_data(std::span<const std::byte> bytes) = 0;
  /// After a send() that took less than was offered: there is room again.
  virtual void on_writable() = 0;
  /// The stream has ended: value = the peer closed in order after all its data was delivered; error otherwise
  /// (unavailable: refused, unreachable or timed out; node_gone: reset or retransmissions exhausted).
  virtual void on_closed(Result<void> reason) = 0;
};

/// A TCP connection of one core, RFC 9293. All calls on that core; none blocks.
class Stream {
 public:
  /// Destroying an open stream aborts it (RST); no callback follows.
  virtual ~Stream() = default;
  /// Replaces the handler; an acceptor sets the first one before it returns.
  virtual void set_handler(StreamHandler& handler) noexcept = 0;
  /// Takes a prefix of `bytes` (copying it) and says how long it is; less than all means the send buffer is full
  /// and on_writable will come. 0 after close or when not connected.
  virtual std::size_t send(std::span<const std::byte> bytes) = 0;
  /// While false no on_data comes, and the peer is held back by flow control. Starts as true.
  virtual void set_reading(bool reading) = 0;
  /// Sends what is queued, then an orderly end; on_closed follows.
  virtual void close() = 0;
  virtual Endpoint local() const = 0;   ///< this end
  virtual Endpoint remote() const = 0;  ///< the other end
};

/// Starts a connection from this core. Errors that are known at once come as the Result, later ones by on_closed.
Result<std::unique_ptr<Stream>> connect(Endpoint remote, StreamHandler& handler);

/// Accepts connections on this core until destroyed. Cores of a node that listen on the same endpoint share its
/// incoming connections; which core gets one is the platform's choice and final.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Endpoint local() const = 0;
};

/// `accept` receives each new stream and must set its handler before it returns, or drop it to refuse.
using AcceptHandler = std::function<void(std::unique_ptr<Stream>)>;

/// Port 0 picks a free one (then the other cores listen on Listener::local()). address_in_use if another program
/// has the port.
Result<std::unique_ptr<Listener>> listen(Endpoint local, AcceptHandler accept);

/// The address other nodes reach this node by: on bare metal the DHCP lease (nullopt until there is one), on Linux
/// what the node was configured with.
std::optional<std::uint32_t> own_address() noexcept;

}  // namespace ebb::platform
