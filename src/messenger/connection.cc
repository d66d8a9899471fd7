#include "src/messenger/connection.h"

#include <algorithm>
#include <new>
#include <utility>

namespace ebb::messenger {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

/// Where parsers are tested there is no core.
CoreIndex core_here() noexcept { return detail::current_core == nullptr ? CoreIndex{} : Core::current().index(); }

}  // namespace

Connection::Connection(ConnectionOwner& owner, Handshake::Side side, const Hello& own, const ClusterKey& key)
    : owner_(owner), side_(side), peer_(own.wanted), handshake_(side, own, key),
      pending_depth_(detail::Bounded::pending_calls, core_here(), kMaxPendingCalls),
      waiting_sends_depth_(detail::Bounded::waiting_sends, core_here(), kMaxWaitingSends),
      output_depth_(detail::Bounded::output_bytes, core_here(), kMostOutputBytes),
      incoming_depth_(detail::Bounded::incoming_calls, core_here(), kMaxIncomingCalls),
      started_(platform::Clock::now()),
      peer_silent_since_(started_), own_silent_since_(started_) {}

Connection::~Connection() = default;

Result<void> Connection::open(platform::Endpoint remote) {
  auto stream = platform::connect(remote, *this);
  if (!stream) return std::move(stream).error();
  stream_ = *std::move(stream);
  wake();
  return {};
}

void Connection::adopt(std::unique_ptr<platform::Stream> stream) {
  stream_ = std::move(stream);
  stream_->set_handler(*this);
  state_ = State::handshake;
  wake();
}

void Connection::on_connected() {
  state_ = State::handshake;
  const Bytes hello = handshake_.begin();
  output_.add_raw(hello);
  room_.take(hello.size());
  flush();
}

// --- in ---

void Connection::on_data(std::span<const std::byte> bytes) {
  if (ended()) return;  // it is on its way out, and what still arrives is for nobody
  const auto self = shared_from_this();  // whoever hears of a frame may let go of the connection
  peer_silent_since_ = platform::Clock::now();
  wants_sign_ = false;
  try {
    take_bytes(bytes);
    if (!input_.empty()) wake();
  } catch (const std::bad_alloc&) {
    // What has arrived is lost, and with it where the next frame begins.
    fail(Error(Errc::resource_exhausted, "no memory for what " + named(peer_) + " sends; its connection was closed"));
  }
}

void Connection::take_bytes(std::span<const std::byte> bytes) {
  // What the last bytes left is made whole first; all that follows is read where it lies.
  while (!input_.empty()) {
    const std::size_t whole = message_bytes(input_);
    const std::size_t missing = std::min(whole - std::min(whole, input_.size()), bytes.size());
    input_.reserve(std::min(whole, input_.size() + std::max(missing, input_.size())));
    input_.insert(input_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(missing));
    bytes = bytes.subspan(missing);
    if (take(input_) != 0) {
      input_.clear();
    } else if (ended() || bytes.empty()) {
      return;
    }
    if (ended()) return;
  }
  const std::size_t taken = take(bytes);
  if (!ended()) input_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
}

std::size_t Connection::message_bytes(std::span<const std::byte> bytes) const noexcept {
  if (state_ == State::handshake) return handshake_.needed();
  if (bytes.size() < FrameHeader::kBytes) return FrameHeader::kBytes;
  const auto header = parse_header(bytes.first<FrameHeader::kBytes>());
  return header ? FrameHeader::kBytes + header->payload_bytes : 0;
}

std::size_t Connection::take(std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  while (!ended()) {
    const auto rest = bytes.subspan(taken);
    if (state_ == State::handshake) {
      const std::size_t needed = handshake_.needed();
      if (rest.size() < needed) break;
      taken += needed;
      take_handshake(rest.first(needed));
      continue;
    }
    if (rest.size() < FrameHeader::kBytes) break;
    const auto header = parse_header(rest.first<FrameHeader::kBytes>());
    if (!header) {
      fail(Error(Errc::malformed, named(peer_) + " sent a frame that breaks the protocol; its connection was closed"));
      break;
    }
    const std::size_t size = FrameHeader::kBytes + header->payload_bytes;
    if (rest.size() < size) break;
    taken += size;
    take_frame(*header, rest.subspan(FrameHeader::kBytes, header->payload_bytes));
  }
  return taken;
}

void Connection::take_handshake(std::span<const std::byte> message) {
  Bytes said;
  const Result<void> fed = handshake_.feed(message, said);
  output_.add_raw(said);
  room_.take(said.size());
  flush();
  if (!fed) return fail(fed.error());
  if (!handshake_.done()) return;
  state_ = State::established;
  peer_ = handshake_.peer().node;
  owner_.on_established(*this);
}

void Connection::take_frame(const FrameHeader& header, std::span<const std::byte> payload) {
  switch (header.type) {
    case FrameType::ping:
      owes_sign_ = true;
      return wake();
    case FrameType::pong:
      return;
    case FrameType::goodbye:
      rest_never_ran_ = true;
      return fail(Error(Errc::node_gone, named(peer_) + " closed its connection"));
    case FrameType::cancel:
      served.cancel(header.call_id);
      return;
    case FrameType::call:
      take_call(header, payload);
      return;
    case FrameType::reply:
      take_result(header.call_id, payload);
      return;
    case FrameType::error: {
      const Errc code = to_code(header.core_or_code);
      std::string text(reinterpret_cast<const char*>(payload.data()), payload.size());
      take_answer(header.call_id, header.has(kRefusal) ? Error::refusal(code, std::move(text)) : Error(code, std::move(text)));
      return;
    }
  }
}

void Connection::take_call(const FrameHeader& header, std::span<const std::byte> payload) {
  IncomingCall call;
  call.from = peer_;
  call.object = ObjectId(header.object);
  call.core = CoreIndex(header.core_or_code);
  call.method = header.method;
  call.deadline = peer_silent_since_ + std::chrono::milliseconds(header.timeout_ms);
  call.one_way = header.has(kOneWay);
  if (call.one_way) {
    owes_sign_ = true;  // no answer will tell the peer that it has arrived
    wake();
  }
  if (header.has(kTraced)) {
    call.trace = parse_trace(payload.first<FrameHeader::kTraceBytes>());
    payload = payload.subspan(FrameHeader::kTraceBytes);
  }
  try {
    call.arguments.assign(payload.begin(), payload.end());
    owner_.on_call(*this, header.call_id, std::move(call));
  } catch (const std::bad_alloc&) {
    if (header.has(kOneWay)) return;
    answer_error(header.call_id, Error::refusal(Errc::overloaded, "no memory for the call; nothing ran, try again later"),
                 is_control(ObjectId(header.object)));
  }
}

void Connection::take_result(std::uint32_t call_id, std::span<const std::byte> payload) {
  Bytes result;
  try {
    result.assign(payload.begin(), payload.end());
  } catch (const std::bad_alloc&) {
    return take_answer(call_id, Error(Errc::resource_exhausted, "the call has run, and there is no memory for its result of " +
                                                                    std::to_string(payload.size()) + " bytes"));
  }
  take_answer(call_id, std::move(result));
}

// --- out ---

void Connection::enqueue(const FrameHeader& header, std::span<const std::byte> prefix, std::span<const std::byte> payload,
                         bool control) {
  // First what may fail for want of memory besides: a frame that is queued goes out.
  if (!output_noted_) owner_.on_output(*this);
  output_noted_ = true;
  (control ? control_ : output_).add(header, prefix, payload);
  output_depth_.set(queued());
}

void Connection::enqueue_at_once(const FrameHeader& header, bool control) {
  (control ? control_room_ : room_).take(FrameHeader::kBytes);
  enqueue(header, {}, {}, control);
}

bool Connection::push(Output& output, Room& room, std::size_t count) {
  if (count == 0) return true;
  const std::size_t taken = output.send(*stream_, count);
  room.give_back(taken);
  return taken == count;
}

void Connection::flush() {
  output_noted_ = false;
  if (ended() || !stream_ || state_ == State::connecting || queued() == 0) return;
  own_silent_since_ = platform::Clock::now();
  owes_sign_ = false;
  // A frame that has begun is ended first; one of control_ begins only between two of output_.
  const bool goes_on =
      control_.queued() == 0 || (push(output_, room_, output_.begun()) && push(control_, control_room_, control_.queued()));
  if (goes_on) push(output_, room_, output_.queued());
  output_depth_.set(queued());
  if (queued() != 0) wake();
}

// --- silence ---

bool Connection::at_stake() const noexcept {
  return !established() || of_stranger || wants_sign_ || pending_.size() != free_slots_.size() || incoming_calls != 0 ||
         queued() != 0 || !input_.empty();
}

void Connection::wake() noexcept {
  if (awake_ || ended()) return;
  awake_ = true;
  peer_silent_since_ = own_silent_since_ = platform::Clock::now();
  owner_.on_awake(*this);
}

void Connection::probe() noexcept {
  wants_sign_ = true;
  wake();
}

bool Connection::tick(platform::Instant now, platform::Duration missed) {
  if (ended()) return false;
  started_ += missed;
  peer_silent_since_ = std::min(now, peer_silent_since_ + missed);
  if (!established()) {
    if (now - started_ <= kHandshakeTimeout) return true;
    fail(Error(Errc::node_gone, (outgoing() ? named(peer_) : std::string("a peer")) + " did not complete the handshake in 5 s"));
    return false;
  }
  if (input_.empty() && input_.capacity() > kKeptBufferBytes) input_ = Bytes();
  output_.shrink(kKeptBufferBytes);
  control_.shrink(kKeptBufferBytes);
  if (!at_stake()) {
    if (!owes_sign_) return awake_ = false;
    enqueue_at_once(FrameHeader{.type = FrameType::pong}, true);
  } else if (now - peer_silent_since_ > silence_limit()) {
    fail(Error(Errc::node_gone, named(peer_) + " has been silent for " + std::to_string(silence_limit() / std::chrono::seconds(1)) +
                                    " s; the connection was given up"));
    return false;
  } else if (now - own_silent_since_ >= kPingAfter && queued() == 0) {
    enqueue_at_once(FrameHeader{}, true);
  }
  return true;
}

// --- the end ---

void Connection::on_closed(Result<void> reason) {
  stream_closed_ = true;
  const bool connects = outgoing() && !established();
  const std::string what = connects ? "cannot connect to " + named(peer_) : named(peer_) + " closed its connection";
  // What this node lacks itself says nothing of the other.
  const bool lacks = connects && reason.code() == Errc::resource_exhausted;
  fail(Error(lacks ? Errc::resource_exhausted : Errc::node_gone, reason ? what : what + ": " + reason.error().text()));
}

void Connection::fail(const Error& reason) {
  if (ended()) return;
  const auto self = weak_from_this().lock();
  finish(reason);
  if (stream_) stream_->close();
  owner_.on_ended(*this, reason);
}

void Connection::say_goodbye() noexcept {
  // Whatever waits goes before it by the same stream, or neither goes; while a call is under way nothing can be promised.
  if (!handshake_.lets_in() || incoming_calls != 0) return;
  try {
    enqueue_at_once(FrameHeader{.type = FrameType::goodbye}, false);
  } catch (const std::bad_alloc&) {
    return;  // the end alone leaves the peer's last calls in doubt
  }
}

void Connection::end(const Error& reason, bool in_order) {
  if (ended()) return;
  if (in_order) {
    say_goodbye();
    flush();
  }
  finish(reason);
  if (!stream_) return;
  if (in_order) {
    stream_->close();
  } else {
    stream_.reset();
  }
}

void Connection::finish(const Error& reason) {
  state_ = State::ended;
  leave_ring();
  // Whoever waits learns that the node is gone, whatever it did wrong; only a cancellation is no news of the node.
  const bool as_it_is = reason.code() == Errc::cancelled || reason.code() == Errc::node_gone;
  cancel_calls(as_it_is ? reason : Error(Errc::node_gone, reason.text()));
  room_.dismiss();
  control_room_.dismiss();
  answers.dismiss();
  served.cancel_all();
  // What it held is for nobody any more.
  pending_depth_.set(0);
  output_depth_.set(0);
}

}  // namespace ebb::messenger
