// TCP streams and listeners of one core over Boost.Asio.
#include "ebb/platform/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "src/hosted/core_io.h"

namespace ebb::platform {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kSendBufferBytes = 1024 * 1024;         // taken by send() but not yet by the kernel
constexpr std::size_t kWritableBytes = kSendBufferBytes / 2;  // room again: on_writable
constexpr auto kCloseLinger = std::chrono::seconds(30);       // for the peer to end its side after close()
constexpr auto kAcceptRetry = std::chrono::milliseconds(100);
constexpr int kBacklog = 1024;

tcp::endpoint to_asio(Endpoint endpoint) { return {asio::ip::address_v4(endpoint.address), endpoint.port}; }
Endpoint from_asio(const tcp::endpoint& endpoint) {
  if (!endpoint.address().is_v4()) return {};
  return {static_cast<std::uint32_t>(endpoint.address().to_v4().to_uint()), endpoint.port()};
}

/// The life of one TCP connection; handlers under way keep it. The owner's Stream is a handle to it and may go first:
/// `handler_` is nullptr from then on, as after on_closed.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, StreamHandler* handler, Endpoint remote)
      : socket_(std::move(socket)), linger_(socket_.get_executor()), handler_(handler), remote_(remote) {}

  void connect() {
    socket_.async_connect(to_asio(remote_), [self = shared_from_this()](const error_code& error) { self->connected(error); });
  }
  // Callbacks come only later, from poll(): the acceptor has set its handler by then.
  void start() {
    established_ = true;
    prepare();
    read();
  }

  void set_handler(StreamHandler& handler) noexcept { handler_ = &handler; }

  std::size_t send(std::span<const std::byte> bytes) {
    if (!established_ || closing_ || ended_ || bytes.empty()) return 0;
    std::size_t taken = 0;
    if (!writing_) taken = send_now(bytes);
    const std::size_t room = kSendBufferBytes - std::min(kSendBufferBytes, unsent());
    const std::size_t kept = std::min(room, bytes.size() - taken);
    if (kept != 0) {
      queued_.insert(queued_.end(), bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.begin() + static_cast<std::ptrdiff_t>(taken + kept));
      write();
    }
    taken += kept;
    if (taken < bytes.size()) wants_room_ = true;
    return taken;
  }

  void set_reading(bool reading) {
    reading_ = reading;
    if (!reading || !established_ || ended_) return;
    if (held_) {
      // What arrived while reading was off; from poll(), not from inside this call.
      asio::post(socket_.get_executor(), [self = shared_from_this()] {
        if (self->held_ && self->reading_) self->deliver();
      });
    } else {
      read();
    }
  }

  void close() {
    if (closing_ || ended_) return;
    closing_ = true;
    start_linger();
    if (established_) finish_writing();
  }

  void abort() noexcept {
    handler_ = nullptr;
    // After on_closed the rest of the output may still go out; an open stream is reset.
    if (ended_) return;
    ended_ = true;
    reset();
  }

  Endpoint local() const {
    error_code error;
    const tcp::endpoint endpoint = socket_.local_endpoint(error);
    return error ? Endpoint{} : from_asio(endpoint);
  }
  Endpoint remote() const { return remote_; }

 private:
  std::size_t unsent() const noexcept { return front_.size() - front_sent_ + queued_.size(); }

  void prepare() {
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
  }

  void connected(const error_code& error) {
    if (ended_) return;
    if (error) return end(hosted::to_error(error, "cannot connect to " + to_string(remote_), Errc::unavailable));
    established_ = true;
    prepare();
    read();
    if (handler_ != nullptr && !closing_) handler_->on_connected();
    if (closing_) finish_writing();
  }

  void read() {
    if (read_pending_ || held_ || !reading_ || ended_ || peer_ended_) return;
    if (buffer_.empty()) buffer_.resize(kReadBytes);
    read_pending_ = true;
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](const error_code& error, std::size_t size) {
      self->read_pending_ = false;
      self->received_ = size;
      self->read_error_ = error;
      if (self->ended_) return;
      self->held_ = true;
      if (self->reading_) self->deliver();
    });
  }

  void deliver() {
    if (ended_) return;
    held_ = false;
    if (!read_error_) {
      if (handler_ != nullptr) handler_->on_data(std::span<const std::byte>(buffer_.data(), received_));
      read();
      return;
    }
    if (read_error_ != asio::error::eof) {
      return end(hosted::to_error(read_error_, "the connection to " + to_string(remote_) + " is lost", Errc::node_gone));
    }
    peer_ended_ = true;
    if (closing_ && unsent() != 0) return;  // on_closed follows the last byte
    end({});
  }

  // Straight to the kernel, without a turn through the event loop; what it does not take is queued.
  std::size_t send_now(std::span<const std::byte> bytes) noexcept {
    const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // An error shows again at the next read or queued write, which reports it.
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }

  void write() {
    if (writing_) return;
    if (front_sent_ == front_.size()) {
      front_.clear();
      front_.swap(queued_);
      front_sent_ = 0;
    }
    if (front_.empty()) return;
    writing_ = true;
    socket_.async_write_some(asio::buffer(front_.data() + front_sent_, front_.size() - front_sent_),
                             [self = shared_from_this()](const error_code& error, std::size_t size) { self->written(error, size); });
  }

  void written(const error_code& error, std::size_t size) {
    writing_ = false;
    if (error) {
      front_.clear();
      queued_.clear();
      front_sent_ = 0;
      if (!ended_) return end(hosted::to_error(error, "the connection to " + to_string(remote_) + " is lost", Errc::node_gone));
      return reset();
    }
    front_sent_ += size;
    write();
    if (unsent() == 0 && (closing_ || ended_)) {
      finish_writing();
      if (peer_ended_ && !ended_) return end({});
    }
    if (wants_room_ && !ended_ && !closing_ && unsent() <= kWritableBytes) {
      wants_room_ = false;
      if (handler_ != nullptr) handler_->on_writable();
    }
  }

  void finish_writing() {
    if (writing_ || unsent() != 0) return;
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    if (ended_) {
      linger_.cancel();
      socket_.close(ignored);
    }
  }

  void start_linger() {
    linger_.expires_after(kCloseLinger);
    linger_.async_wait([weak = weak_from_this()](const error_code& error) {
      const std::shared_ptr<Connection> self = weak.lock();
      if (error || !self) return;
      if (!self->ended_) {
        self->end(Error(Errc::node_gone, to_string(self->remote_) + " did not end its side within 30 s of close(); it was cut off"));
      }
      self->reset();
    });
  }

  // The stream has ended for its owner. After the peer's orderly end, queued output still goes out.
  void end(Result<void> reason) {
    if (ended_) return;
    ended_ = true;
    if (!reason) {
      reset();
    } else if (unsent() == 0) {
      finish_writing();
    } else {
      start_linger();
    }
    if (StreamHandler* handler = std::exchange(handler_, nullptr)) handler->on_closed(std::move(reason));
  }

  void reset() noexcept {
    error_code ignored;
    linger_.cancel();
    if (!socket_.is_open()) return;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

  tcp::socket socket_;
  asio::steady_timer linger_;
  StreamHandler* handler_;
  Endpoint remote_;
  std::vector<std::byte> buffer_;
  std::size_t received_ = 0;
  error_code read_error_;
  std::vector<std::byte> front_;   // being written
  std::size_t front_sent_ = 0;
  std::vector<std::byte> queued_;  // after it
  bool established_ = false;
  bool reading_ = true;
  bool read_pending_ = false;
  bool held_ = false;        // a finished read waits for set_reading(true)
  bool writing_ = false;
  bool wants_room_ = false;  // a send() took less than all
  bool closing_ = false;     // close() was called
  bool peer_ended_ = false;
  bool ended_ = false;       // on_closed was called, or the owner is gone
};

class HostedStream final : public Stream {
 public:
  explicit HostedStream(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~HostedStream() override { connection_->abort(); }
  HostedStream(const HostedStream&) = delete;
  HostedStream& operator=(const HostedStream&) = delete;
  // Each call holds the connection: a callback made inside may destroy this handle.
  void set_handler(StreamHandler& handler) noexcept override { connection_->set_handler(handler); }
  std::size_t send(std::span<const std::byte> bytes) override { return connection_->send(bytes); }
  void set_reading(bool reading) override { connection_->set_reading(reading); }
  void close() override { connection_->close(); }
  Endpoint local() const override { return connection_->local(); }
  Endpoint remote() const override { return connection_->remote(); }

 private:
  std::shared_ptr<Connection> connection_;
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

struct ListenState : std::enable_shared_from_this<ListenState> {
  ListenState(asio::io_context& io, AcceptHandler handler) : acceptor(io), retry(io), accept(std::move(handler)) {}

  void next() {
    acceptor.async_accept([self = shared_from_this()](const error_code& error, tcp::socket socket) {
      if (!self->acceptor.is_open()) return;
      if (error == asio::error::no_descriptors || error == asio::error::no_memory || error == asio::error::no_buffer_space) {
        // Trying at once would spin until somebody closes something.
        self->retry.expires_after(kAcceptRetry);
        self->retry.async_wait([self](const error_code& stopped) {
          if (!stopped && self->acceptor.is_open()) self->next();
        });
        return;
      }
      if (!error) self->take(std::move(socket));
      if (self->acceptor.is_open()) self->next();
    });
  }

  void take(tcp::socket socket) {
    error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return;  // gone already
    auto connection = std::make_shared<Connection>(std::move(socket), nullptr, from_asio(peer));
    connection->start();
    accept(std::make_unique<HostedStream>(std::move(connection)));
  }

  tcp::acceptor acceptor;
  asio::steady_timer retry;
  AcceptHandler accept;
};

class HostedListener final : public Listener {
 public:
  HostedListener(std::shared_ptr<ListenState> state, Endpoint local) : state_(std::move(state)), local_(local) {}
  ~HostedListener() override {
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->retry.cancel();
    const std::lock_guard lock(shared_ports().mutex);
    const auto found = shared_ports().listeners.find({local_.address, local_.port});
    if (--found->second == 0) shared_ports().listeners.erase(found);
  }
  HostedListener(const HostedListener&) = delete;
  HostedListener& operator=(const HostedListener&) = delete;
  Endpoint local() const override { return local_; }

 private:
  std::shared_ptr<ListenState> state_;
  Endpoint local_;
};

void open_acceptor(tcp::acceptor& acceptor, Endpoint local, bool share, error_code& error) {
  using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
  acceptor.open(tcp::v4(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && share) acceptor.set_option(ReusePort(true), error);
  if (!error) acceptor.bind(to_asio(local), error);
}

}  // namespace

Result<std::unique_ptr<Stream>> connect(Endpoint remote, StreamHandler& handler) {
  if (remote.address == 0 || remote.port == 0) {
    return Error(Errc::invalid_argument, "cannot connect to " + to_string(remote) + ": give an address and a port");
  }
  tcp::socket socket(hosted::current_io().io());
  error_code error;
  socket.open(tcp::v4(), error);
  if (error) return hosted::to_error(error, "cannot make a socket", Errc::unavailable);
  auto connection = std::make_shared<Connection>(std::move(socket), &handler, remote);
  connection->connect();
  return std::unique_ptr<Stream>(std::make_unique<HostedStream>(std::move(connection)));
}

Result<std::unique_ptr<Listener>> listen(Endpoint local, AcceptHandler accept) {
  SharedPorts& ports = shared_ports();
  const std::lock_guard lock(ports.mutex);
  asio::io_context& io = hosted::current_io().io();
  const std::string what = "cannot listen on " + to_string(local);
  error_code error;
  if (local.port != 0 && !ports.listeners.contains({local.address, local.port})) {
    tcp::acceptor probe(io);
    open_acceptor(probe, local, false, error);
    if (error) return hosted::to_error(error, what, Errc::invalid_argument);
  }
  auto state = std::make_shared<ListenState>(io, std::move(accept));
  open_acceptor(state->acceptor, local, true, error);
  if (!error) state->acceptor.listen(kBacklog, error);
  if (error) return hosted::to_error(error, what, Errc::invalid_argument);
  const Endpoint bound = from_asio(state->acceptor.local_endpoint());
  ++ports.listeners[{bound.address, bound.port}];
  state->next();
  return std::unique_ptr<Listener>(std::make_unique<HostedListener>(std::move(state), bound));
}

}  // namespace ebb::platform
