#include "src/hosted/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "src/hosted/address.h"

namespace ebb::platform::hosted {

namespace {

constexpr std::size_t kSendBufferBytes = 1024 * 1024;         // taken by send() but not yet by the kernel
constexpr std::size_t kWritableBytes = kSendBufferBytes / 2;  // room again: on_writable
constexpr int kReadsPerTurn = 4;                              // of one stream before others have their turn
constexpr auto kCloseLinger = std::chrono::seconds(30);       // for the peer to end its side after close()

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

/// Of what connect(2) says at once: whether it may be about the other end, or is yet to come. All else this machine lacks itself (an
/// address, a route, memory, the right).
bool concerns_peer(int error) noexcept {
  return error == EINPROGRESS || error == ECONNREFUSED || error == ECONNRESET || error == EHOSTUNREACH || error == ETIMEDOUT;
}

}  // namespace

Result<std::shared_ptr<Connection>> Connection::connect(Endpoint remote, StreamHandler& handler) {
  const int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return to_error(errno, "cannot make a socket", Errc::unavailable);
  std::shared_ptr<Connection> connection(new Connection(made, &handler, remote, false));
  const sockaddr_in address = to_address(remote);
  // Before epoll knows the socket: one that does not connect counts as hung up there.
  if (::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) connection->connect_error_ = errno;
  const int error = connection->connect_error_;
  if (error != 0 && !concerns_peer(error)) return to_error(error, "cannot connect to " + to_string(remote), Errc::unavailable);
  auto watching = watched(connection);
  // On loopback a refusal is known at once; the owner hears of it as of any other.
  if (watching && error != EINPROGRESS) current_io().look_again(connection->watch_);
  return watching;
}

Result<std::shared_ptr<Connection>> Connection::adopt(int socket, Endpoint remote) {
  return watched(std::shared_ptr<Connection>(new Connection(socket, nullptr, remote, true)));
}

Result<std::shared_ptr<Connection>> Connection::watched(std::shared_ptr<Connection> connection) {
  // What a call sends is whole: nothing is to be waited for to go with it.
  const int on = 1;
  static_cast<void>(setsockopt(connection->socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  const Result<WatchId> watch = current_io().watch(connection->socket_, connection);
  if (!watch) return watch.error();
  connection->watch_ = *watch;
  return connection;
}

Connection::~Connection() {
  if (open()) ::close(socket_);
}

std::size_t Connection::send(std::span<const std::byte> bytes) {
  if (!established_ || closing_ || ended_ || bytes.empty()) return 0;
  std::size_t taken = 0;
  if (unsent() == 0) taken = send_now(bytes);
  const std::size_t kept = std::min(kSendBufferBytes - std::min(kSendBufferBytes, unsent()), bytes.size() - taken);
  const std::span<const std::byte> rest = bytes.subspan(taken, kept);
  output_.insert(output_.end(), rest.begin(), rest.end());
  taken += kept;
  if (taken < bytes.size()) wants_room_ = true;
  return taken;
}

void Connection::set_reading(bool reading) {
  if (std::exchange(reading_, reading) == reading) return;
  // What arrived meanwhile has been told of already; from poll(), not from inside this call.
  if (reading && established_ && !ended_ && open()) current_io().look_again(watch_);
}

void Connection::close() {
  if (closing_ || ended_) return;
  closing_ = true;
  linger();
  if (established_) finish_writing();
}

void Connection::abort() noexcept {
  handler_ = nullptr;
  if (ended_) return;
  ended_ = true;
  reset();
}

Endpoint Connection::local() const noexcept {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (!open() || getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return from_address(address);
}

void Connection::on_ready(std::uint32_t events) {
  if (!established_) {
    if (events == kLook || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) finish_connecting();
    if (!established_) return;
  }
  if ((events & EPOLLOUT) != 0) write();
  const bool last_of_it = events == kLook || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (last_of_it || (events & EPOLLIN) != 0) read(last_of_it);
}

void Connection::on_deadline() {
  if (!ended_) end(Error(Errc::node_gone, to_string(remote_) + " did not end its side within 30 s of close(); it was cut off"));
  reset();
}

void Connection::finish_connecting() {
  int error = connect_error_;
  socklen_t size = sizeof error;
  if (error == EINPROGRESS && getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return lose(error, "cannot connect to ", Errc::unavailable);
  established_ = true;
  if (handler_ != nullptr && !closing_) handler_->on_connected();
  if (closing_) finish_writing();
}

void Connection::read(bool to_end) {
  CoreIo& io = current_io();
  // Each handler may end the stream, or stop reading.
  for (int turn = 0; reading_ && !ended_ && !peer_ended_ && open(); ++turn) {
    if (turn == kReadsPerTurn) return io.look_again(watch_);
    const ssize_t got = recv(socket_, io.scratch().data(), io.scratch().size(), MSG_DONTWAIT);
    if (got > 0) {
      const auto size = static_cast<std::size_t>(got);
      io.received(watch_);
      if (handler_ != nullptr) handler_->on_data(io.scratch().first(size));
      // What comes after a short read is another edge [epoll(7), questions and answers].
      if (size < io.scratch().size() && !to_end) return;
    } else if (got == 0) {
      io.received(watch_);  // an end is something, too
      return peer_ended();
    } else if (errno != EINTR) {
      if (!would_block(errno)) lose(errno, "the connection is lost to ", Errc::node_gone);
      return;
    }
  }
}

void Connection::peer_ended() {
  peer_ended_ = true;
  if (closing_ && unsent() != 0) return;  // on_closed follows the last byte
  end({});
}

// Straight to the kernel, without a turn through the event loop. An error shows again at the next read, which reports it.
std::size_t Connection::send_now(std::span<const std::byte> bytes) noexcept {
  const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void Connection::write() {
  while (open() && unsent() != 0) {
    const ssize_t sent = ::send(socket_, output_.data() + sent_, unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && would_block(errno)) break;
    if (sent < 0) return lose(errno, "the connection is lost to ", Errc::node_gone);
    sent_ += static_cast<std::size_t>(sent);
  }
  if (sent_ >= output_.size() / 2) {
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(std::exchange(sent_, 0)));
  }
  if (unsent() == 0 && (closing_ || ended_)) {
    finish_writing();
    if (peer_ended_ && !ended_) return end({});
  }
  if (ended_ || closing_ || !wants_room_ || unsent() > kWritableBytes) return;
  wants_room_ = false;
  if (handler_ != nullptr) handler_->on_writable();
}

void Connection::finish_writing() {
  if (unsent() != 0 || !open()) return;
  static_cast<void>(shutdown(socket_, SHUT_WR));
  if (ended_) close_socket();
}

void Connection::lose(int error, const char* what, Errc otherwise) {
  output_.clear();
  sent_ = 0;
  if (ended_) return reset();
  end(to_error(error, what + to_string(remote_), otherwise));
}

void Connection::end(Result<void> reason) {
  if (ended_) return;
  ended_ = true;
  if (!reason) {
    reset();
  } else if (unsent() == 0) {
    finish_writing();
  } else {
    linger();
  }
  if (StreamHandler* handler = std::exchange(handler_, nullptr)) handler->on_closed(std::move(reason));
}

void Connection::linger() {
  if (open()) current_io().set_deadline(watch_, Clock::now() + kCloseLinger);
}

void Connection::reset() noexcept {
  if (!open()) return;
  const ::linger at_once{1, 0};
  static_cast<void>(setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  close_socket();
}

void Connection::close_socket() noexcept {
  const int closed = std::exchange(socket_, -1);
  // The last holder may be the event sources: nothing of this is used after it.
  current_io().forget(watch_);
  ::close(closed);
}

}  // namespace ebb::platform::hosted
