// The handshake of one connection: who the peer is, and whether it holds the cluster key. Takes bytes, gives bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "ebb/base/bytes.h"
#include "ebb/messenger/messenger.h"
#include "src/messenger/frame.h"

namespace ebb::messenger {

/// One side of docs/protocol.md, "Handshake". Fed with what arrives until done() or failed().
class Handshake {
 public:
  enum class Side { connecting, accepting };

  /// `own.nonce` is fresh; `own.wanted` is the node to reach, kNoNode for the accepting side.
  Handshake(Side side, const Hello& own, const ClusterKey& key) noexcept;

  /// What to send at the start.
  Bytes begin() const;

  /// How many bytes the next step needs; 0 when done.
  std::size_t needed() const noexcept;

  /// Takes exactly needed() bytes and appends what to send to `output`. An error ends the handshake: the output is sent,
  /// then the connection closed. Codes: malformed, version_mismatch, unauthenticated, not_found.
  Result<void> feed(std::span<const std::byte> input, Bytes& output);

  bool done() const noexcept { return step_ == Step::done; }
  /// Whether this side has sent a verdict that lets the peer in: frames may follow the peer's own, which need not have come yet.
  bool lets_in() const noexcept { return done() || (side_ == Side::accepting && step_ == Step::verdict); }
  /// Valid once the peer's hello has come; proved only when done.
  const Hello& peer() const noexcept { return peer_; }

 private:
  enum class Step { hello, verdict, done };
  Proof prove(Side sender) const noexcept;
  Result<void> take_hello(std::span<const std::byte> input, Bytes& output);
  Result<void> take_verdict(std::span<const std::byte> input, Bytes& output);
  void send_verdict(Errc status, Bytes& output) const;

  Side side_;
  Step step_ = Step::hello;
  const ClusterKey& key_;
  Hello own_;
  Hello peer_;
};

}  // namespace ebb::messenger
