// One TCP connection of a core, with the state that its Stream shows. Private to src/hosted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ebb/base/result.h"
#include "ebb/platform/stream.h"
#include "src/hosted/core_io.h"

namespace ebb::platform::hosted {

/// Kept by its core's event sources as long as its socket is open, and by the owner's Stream, which may go first:
/// `handler_` is nullptr from then on, as after on_closed. Handlers are called from on_ready and on_deadline only.
class Connection final : public Watcher {
 public:
  /// Begins to connect.
  static Result<std::shared_ptr<Connection>> connect(Endpoint remote, StreamHandler& handler);
  /// Takes over an accepted socket, whatever becomes of it.
  static Result<std::shared_ptr<Connection>> adopt(int socket, Endpoint remote);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // What Stream promises.
  void set_handler(StreamHandler& handler) noexcept { handler_ = &handler; }
  std::size_t send(std::span<const std::byte> bytes);
  void set_reading(bool reading);
  void close();
  /// The owner is gone. After on_closed the rest of the output may still go out; an open stream is reset.
  void abort() noexcept;
  Endpoint local() const noexcept;
  Endpoint remote() const noexcept { return remote_; }

  void on_ready(std::uint32_t events) override;
  void on_deadline() override;

 private:
  Connection(int socket, StreamHandler* handler, Endpoint remote, bool established) noexcept
      : socket_(socket), handler_(handler), remote_(remote), established_(established) {}
  static Result<std::shared_ptr<Connection>> watched(std::shared_ptr<Connection> connection);

  bool open() const noexcept { return socket_ >= 0; }
  std::size_t unsent() const noexcept { return output_.size() - sent_; }
  std::size_t send_now(std::span<const std::byte> bytes) noexcept;
  void finish_connecting();
  /// `to_end`: until nothing is left, rather than until less came than there was room for.
  void read(bool to_end);
  void write();
  void finish_writing();
  void peer_ended();
  /// The connection is broken: nothing more goes in or out.
  void lose(int error, const char* what, Errc otherwise);
  /// The stream has ended for its owner. After the peer's orderly end, queued output still goes out.
  void end(Result<void> reason);
  void linger();
  void reset() noexcept;
  void close_socket() noexcept;

  int socket_;             // -1: closed
  int connect_error_ = 0;  // what connect(2) said
  WatchId watch_;
  StreamHandler* handler_;
  const Endpoint remote_;
  std::vector<std::byte> output_;  // what the kernel did not take at once
  std::size_t sent_ = 0;           // of it
  bool established_;
  bool reading_ = true;
  bool wants_room_ = false;  // a send() took less than all
  bool closing_ = false;     // close() was called
  bool peer_ended_ = false;
  bool ended_ = false;       // on_closed was called, or the owner is gone
};

}  // namespace ebb::platform::hosted
