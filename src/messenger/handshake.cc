#include "src/messenger/handshake.h"

#include <sodium.h>

#include <algorithm>
#include <string>

namespace ebb::messenger {
namespace {

static_assert(crypto_auth_hmacsha256_BYTES == sizeof(Proof) && crypto_auth_hmacsha256_KEYBYTES == sizeof(ClusterKey));

template <class Message>
void append(Bytes& output, const Message& bytes) {
  output.insert(output.end(), bytes.begin(), bytes.end());
}

const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

}  // namespace

Handshake::Handshake(Side side, const Hello& own, const ClusterKey& key) noexcept : side_(side), key_(key), own_(own) {}

Bytes Handshake::begin() const {
  Bytes output;
  if (side_ == Side::connecting) append(output, encode(own_));
  return output;
}

std::size_t Handshake::needed() const noexcept {
  switch (step_) {
    case Step::hello: return Hello::kBytes;
    case Step::verdict: return Verdict::kBytes;
    case Step::done: break;
  }
  return 0;
}

Proof Handshake::prove(Side sender) const noexcept {
  const HelloBytes own = encode(own_);
  const HelloBytes peer = encode(peer_);
  const HelloBytes& first = sender == side_ ? own : peer;
  const HelloBytes& second = sender == side_ ? peer : own;
  const unsigned char role = sender == Side::connecting ? 'C' : 'S';
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, raw(key_.data()), key_.size());
  crypto_auth_hmacsha256_update(&state, &role, 1);
  crypto_auth_hmacsha256_update(&state, raw(first.data()), first.size());
  crypto_auth_hmacsha256_update(&state, raw(second.data()), second.size());
  Proof proof;
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(proof.data()));
  return proof;
}

void Handshake::send_verdict(Errc status, Bytes& output) const {
  append(output, encode(Verdict{status, status == Errc::ok ? prove(side_) : Proof{}}));
}

Result<void> Handshake::feed(std::span<const std::byte> input, Bytes& output) {
  return step_ == Step::hello ? take_hello(input, output) : take_verdict(input, output);
}

Result<void> Handshake::take_hello(std::span<const std::byte> input, Bytes& output) {
  const auto hello = parse_hello(input.first<Hello::kBytes>());
  if (!hello) return Error(Errc::malformed, "the peer does not speak the messenger's protocol");
  peer_ = *hello;
  if (side_ == Side::accepting) append(output, encode(own_));
  Errc status = Errc::ok;
  std::string reason;
  if (peer_.version != kProtocolVersion) {
    status = Errc::version_mismatch;
    reason = "the peer speaks version " + std::to_string(peer_.version) + " of the messenger's protocol, this node version " +
             std::to_string(kProtocolVersion) + "; start all nodes from the same build";
  } else if (side_ == Side::accepting && peer_.wanted != own_.node) {
    status = Errc::not_found;
    reason = "node " + std::to_string(to_number(peer_.node)) + " looked for node " +
             std::to_string(to_number(peer_.wanted)) + " and found node " + std::to_string(to_number(own_.node));
  } else if (side_ == Side::connecting && peer_.node != own_.wanted) {
    status = Errc::not_found;
    reason = "node " + std::to_string(to_number(own_.wanted)) + " was looked for and node " +
             std::to_string(to_number(peer_.node)) + " answered";
  }
  if (side_ == Side::accepting || status != Errc::ok) send_verdict(status, output);
  if (status != Errc::ok) return Error(status, reason);
  step_ = Step::verdict;
  return {};
}

Result<void> Handshake::take_verdict(std::span<const std::byte> input, Bytes& output) {
  const Verdict verdict = parse_verdict(input.first<Verdict::kBytes>());
  if (verdict.status != Errc::ok) {
    return Error(verdict.status, "node " + std::to_string(to_number(peer_.node)) + " refused the connection (" +
                                     std::string(name(verdict.status)) +
                                     (verdict.status == Errc::unauthenticated ? "): the two nodes hold different cluster keys" : ")"));
  }
  const Proof expected = prove(side_ == Side::connecting ? Side::accepting : Side::connecting);
  if (sodium_memcmp(expected.data(), verdict.proof.data(), expected.size()) != 0) {
    if (side_ == Side::connecting) send_verdict(Errc::unauthenticated, output);
    return Error(Errc::unauthenticated, "the peer that calls itself node " + std::to_string(to_number(peer_.node)) +
                                            " does not hold this cluster's key");
  }
  if (side_ == Side::connecting) send_verdict(Errc::ok, output);
  step_ = Step::done;
  return {};
}

}  // namespace ebb::messenger
