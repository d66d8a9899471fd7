// TCP streams and listeners of one core, over its epoll instance.
#include "ebb/platform/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "src/hosted/address.h"
#include "src/hosted/connection.h"
#include "src/hosted/core_io.h"

namespace ebb::platform {

using hosted::Connection;
using hosted::CoreIo;
using hosted::WatchId;

namespace {

constexpr auto kAcceptRetry = std::chrono::milliseconds(100);
constexpr Duration kSayAgain = std::chrono::minutes(1);
constexpr int kAcceptsPerTurn = 16;
constexpr int kBacklog = 1024;

class HostedStream final : public Stream {
 public:
  explicit HostedStream(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~HostedStream() override { connection_->abort(); }
  HostedStream(const HostedStream&) = delete;
  HostedStream& operator=(const HostedStream&) = delete;
  void set_handler(StreamHandler& handler) noexcept override { connection_->set_handler(handler); }
  std::size_t send(std::span<const std::byte> bytes) override { return connection_->send(bytes); }
  void set_reading(bool reading) override { connection_->set_reading(reading); }
  void close() override { connection_->close(); }
  Endpoint local() const override { return connection_->local(); }
  Endpoint remote() const override { return connection_->remote(); }

 private:
  const std::shared_ptr<Connection> connection_;
};

/// Those who want to connect only see that nobody answers. One line of a process in kSayAgain.
void say_no_room(int error) {
  static std::atomic<Instant> silent_until{Instant::min()};
  const Instant now = Clock::now();
  // Relaxed: who says it does not matter.
  Instant before = silent_until.load(std::memory_order_relaxed);
  if (now < before || !silent_until.compare_exchange_strong(before, now + kSayAgain, std::memory_order_relaxed)) return;
  write_log("a connection cannot be taken in: " + std::generic_category().message(error) +
            (error == EMFILE ? "; raise the limit, `ulimit -Hn`" : "; the machine has no files or memory left for it"));
}

/// A listening socket; kept by its core's event sources until its Listener goes.
class Acceptor final : public hosted::Watcher {
 public:
  Acceptor(int socket, AcceptHandler handler) : socket_(socket), accept_(std::move(handler)) {}
  ~Acceptor() override { close(); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  Result<void> start(std::shared_ptr<Acceptor> self) {
    const Result<WatchId> watch = hosted::current_io().watch(socket_, std::move(self));
    if (!watch) return watch.error();
    watch_ = *watch;
    return {};
  }
  /// The port is free from then on, also while on_ready() is still under way.
  void stop() noexcept {
    stopped_ = true;
    hosted::current_io().forget(watch_);
    close();
  }

  void on_ready(std::uint32_t) override {
    CoreIo& io = hosted::current_io();
    // The handler may end the listener.
    for (int turn = 0; !stopped_; ++turn) {
      if (turn == kAcceptsPerTurn) return io.look_again(watch_);
      sockaddr_in address{};
      socklen_t size = sizeof address;
      const int made = accept4(socket_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (made >= 0) {
        take(made, hosted::from_address(address));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        say_no_room(errno);
        // Trying at once would spin until somebody closes something.
        return io.set_deadline(watch_, Clock::now() + kAcceptRetry);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return;
      }
      // Any other error is that of the connection, which has gone already [accept(2)].
    }
  }
  void on_deadline() override { on_ready(hosted::kLook); }

 private:
  void take(int socket, Endpoint peer) {
    if (auto connection = Connection::adopt(socket, peer)) accept_(std::make_unique<HostedStream>(*std::move(connection)));
  }

  void close() noexcept {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  int socket_;  // -1: closed
  WatchId watch_;
  AcceptHandler accept_;
  bool stopped_ = false;
};

/// Endpoints this process listens on, by listeners. Cores share a port with SO_REUSEPORT, which would also let a second
/// process in without a word; so the first listener of an endpoint tries it without that option before.
struct SharedPorts {
  std::mutex mutex;
  std::map<std::pair<std::uint32_t, std::uint16_t>, std::size_t> listeners;  // guarded by mutex
};
SharedPorts& shared_ports() {
  static SharedPorts ports;
  return ports;
}

class HostedListener final : public Listener {
 public:
  HostedListener(std::shared_ptr<Acceptor> acceptor, Endpoint local) : acceptor_(std::move(acceptor)), local_(local) {}
  ~HostedListener() override {
    const std::lock_guard lock(shared_ports().mutex);
    // Under the lock: who finds the port without listeners takes it for another program's as long as a socket is open.
    acceptor_->stop();
    const auto found = shared_ports().listeners.find({local_.address, local_.port});
    if (--found->second == 0) shared_ports().listeners.erase(found);
  }
  HostedListener(const HostedListener&) = delete;
  HostedListener& operator=(const HostedListener&) = delete;
  Endpoint local() const override { return local_; }

 private:
  const std::shared_ptr<Acceptor> acceptor_;
  const Endpoint local_;
};

/// A socket bound to `local`, or -1 with errno set.
int bound_socket(Endpoint local, bool share) {
  const int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  const int on = 1;
  const sockaddr_in address = hosted::to_address(local);
  if (setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      (!share || setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
      bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return made;
  }
  const int error = errno;
  ::close(made);
  errno = error;
  return -1;
}

Endpoint bound_to(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  return getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? hosted::from_address(address) : Endpoint{};
}

}  // namespace

Result<std::unique_ptr<Stream>> connect(Endpoint remote, StreamHandler& handler) {
  if (remote.address == 0 || remote.port == 0) {
    return Error(Errc::invalid_argument, "cannot connect to " + to_string(remote) + ": give an address and a port");
  }
  auto connection = Connection::connect(remote, handler);
  if (!connection) return std::move(connection).error();
  return std::unique_ptr<Stream>(std::make_unique<HostedStream>(*std::move(connection)));
}

Result<std::unique_ptr<Listener>> listen(Endpoint local, AcceptHandler accept) {
  SharedPorts& ports = shared_ports();
  const std::lock_guard lock(ports.mutex);
  const std::string what = "cannot listen on " + to_string(local);
  if (local.port != 0 && !ports.listeners.contains({local.address, local.port})) {
    const int probe = bound_socket(local, false);
    if (probe < 0) return hosted::to_error(errno, what, Errc::invalid_argument);
    ::close(probe);
  }
  const int made = bound_socket(local, true);
  if (made < 0) return hosted::to_error(errno, what, Errc::invalid_argument);
  const auto acceptor = std::make_shared<Acceptor>(made, std::move(accept));
  if (::listen(made, kBacklog) != 0) return hosted::to_error(errno, what, Errc::invalid_argument);
  if (Result<void> started = acceptor->start(acceptor); !started) return std::move(started).error();
  const Endpoint bound = bound_to(made);
  ++ports.listeners[{bound.address, bound.port}];
  return std::unique_ptr<Listener>(std::make_unique<HostedListener>(acceptor, bound));
}

}  // namespace ebb::platform
