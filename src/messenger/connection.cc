#include "src/messenger/connection.h"

#include <algorithm>
#include <utility>

namespace ebb::messenger {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

Connection::Connection(ConnectionOwner& owner, Handshake::Side side, const Hello& own, const ClusterKey& key)
    : owner_(owner), side_(side), peer_(own.wanted), handshake_(side, own, key), started_(platform::Clock::now()),
      last_received_(started_), last_sent_(started_) {}

Connection::~Connection() = default;

Result<void> Connection::open(platform::Endpoint remote) {
  auto stream = platform::connect(remote, *this);
  if (!stream) return std::move(stream).error();
  stream_ = *std::move(stream);
  return {};
}

void Connection::adopt(std::unique_ptr<platform::Stream> stream) {
  stream_ = std::move(stream);
  stream_->set_handler(*this);
  state_ = State::handshake;
}

void Connection::on_connected() {
  state_ = State::handshake;
  output_ = handshake_.begin();
  room_.take(output_.size());
  flush();
}

// --- in ---

void Connection::on_data(std::span<const std::byte> bytes) {
  if (ended()) return;  // it is on its way out, and what still arrives is for nobody
  const auto self = shared_from_this();  // whoever hears of a frame may let go of the connection
  last_received_ = platform::Clock::now();
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
  const std::size_t before = output_.size();
  const Result<void> fed = handshake_.feed(message, output_);
  room_.take(output_.size() - before);
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
      return;
    case FrameType::call: {
      IncomingCall call{peer_, ObjectId(header.object), CoreIndex(header.core_or_code), header.method,
                        last_received_ + std::chrono::milliseconds(header.timeout_ms),
                        Bytes(payload.begin(), payload.end())};
      owner_.on_call(*this, header.call_id, std::move(call));
      return;
    }
    case FrameType::reply:
      take_answer(header.call_id, Bytes(payload.begin(), payload.end()));
      return;
    case FrameType::error:
      take_answer(header.call_id, Error(to_code(header.core_or_code),
                                        std::string(reinterpret_cast<const char*>(payload.data()), payload.size())));
      return;
  }
}

// --- calls ---

std::optional<std::uint32_t> Connection::new_pending(Completion<Result<Bytes>>& waiter, platform::Instant deadline) {
  if (free_slots_.empty()) {
    if (pending_.size() == kMaxPendingCalls) return std::nullopt;
    free_slots_.push_back(static_cast<std::uint32_t>(pending_.size()));
    pending_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  Pending& pending = pending_[slot];
  pending.waiter = &waiter;
  pending.timer = Core::current().call_at(deadline, [this, slot] {
    Pending& late = pending_[slot];
    late.timer = {};
    settle(late, Error(Errc::deadline_exceeded, named(peer_) + " did not answer in time; the call may or may not have run"));
  });
  return pending.generation << kSlotBits | slot;
}

Connection::Pending* Connection::find_pending(std::uint32_t call_id) noexcept {
  const std::uint32_t slot = call_id % kMaxPendingCalls;
  if (slot >= pending_.size()) return nullptr;
  Pending& pending = pending_[slot];
  return (pending.generation << kSlotBits | slot) == call_id ? &pending : nullptr;
}

/// Lets the caller go on. The slot of a call that was sent stays taken until its answer comes, however late: so no answer
/// can ever be taken for that of another call, and what the peer still works on counts as pending.
void Connection::settle(Pending& pending, Result<Bytes> answer) {
  if (pending.waiter == nullptr) return;
  if (pending.timer != TimerId{}) Core::current().cancel(std::exchange(pending.timer, {}));
  if (pending.room != nullptr) std::exchange(pending.room, nullptr)->give_up();
  std::exchange(pending.waiter, nullptr)->complete(std::move(answer));
}

void Connection::take_answer(std::uint32_t call_id, Result<Bytes> answer) {
  Pending* pending = find_pending(call_id);
  if (pending == nullptr || !pending->sent) return;
  settle(*pending, std::move(answer));
  free_slot(call_id % kMaxPendingCalls);
}

void Connection::free_slot(std::uint32_t slot) {
  Pending& pending = pending_[slot];
  pending.sent = false;
  ++pending.generation;
  free_slots_.push_back(slot);
}

task<Result<Bytes>> Connection::call(CallTarget target, platform::Instant deadline, Bytes arguments) {
  const auto self = shared_from_this();
  Completion<Result<Bytes>> answered;
  const auto id = new_pending(answered, deadline);
  if (!id) {
    co_return Error(Errc::overloaded, std::to_string(kMaxPendingCalls) + " calls to " + named(peer_) +
                                          " wait for their answers; try again when some have come");
  }
  const std::uint32_t slot = *id % kMaxPendingCalls;
  const std::size_t frame_bytes = FrameHeader::kBytes + arguments.size();
  bool room = room_.try_take(frame_bytes);
  if (!room) {
    Room::Waiter waiter(room_, frame_bytes);
    pending_[slot].room = &waiter;
    room = co_await waiter;
    pending_[slot].room = nullptr;
  }
  if (answered.ready()) {  // the deadline, or the connection's end, came first
    if (room) room_.give_back(frame_bytes);
    free_slot(slot);
    co_return co_await answered;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - platform::Clock::now()).count();
  FrameHeader header;
  header.type = FrameType::call;
  header.payload_bytes = static_cast<std::uint32_t>(arguments.size());
  header.core_or_code = to_number(target.core);
  header.call_id = *id;
  header.object = target.object.index();
  header.method = target.method;
  header.timeout_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 0xffff'ffff));
  pending_[slot].sent = true;
  enqueue(header, arguments);
  arguments = Bytes();
  co_return co_await answered;
}

void Connection::answer(std::uint32_t call_id, std::span<const std::byte> result) {
  FrameHeader header;
  header.type = FrameType::reply;
  header.payload_bytes = static_cast<std::uint32_t>(result.size());
  header.call_id = call_id;
  if (!ended()) enqueue(header, result);
}

void Connection::answer_error(std::uint32_t call_id, const Error& error) {
  if (ended()) return;
  const auto text = bytes_of(error.text()).first(std::min(error.text().size(), FrameHeader::kMaxErrorTextBytes));
  FrameHeader header;
  header.type = FrameType::error;
  header.payload_bytes = static_cast<std::uint32_t>(text.size());
  header.core_or_code = static_cast<std::uint16_t>(error.code());
  header.call_id = call_id;
  room_.take(FrameHeader::kBytes + text.size());
  enqueue(header, text);
  if (queued() > kMaxBacklogBytes) {
    fail(Error(Errc::node_gone, named(peer_) + " sends calls and takes no answers; its connection was closed"));
  }
}

// --- out ---

void Connection::enqueue(const FrameHeader& header, std::span<const std::byte> payload) {
  const auto head = encode(header);
  output_.insert(output_.end(), head.begin(), head.end());
  output_.insert(output_.end(), payload.begin(), payload.end());
  if (!std::exchange(output_noted_, true)) owner_.on_output(*this);
}

void Connection::flush() {
  output_noted_ = false;
  if (ended() || !stream_ || state_ == State::connecting) return;
  if (queued() == 0) return;
  last_sent_ = platform::Clock::now();
  const std::size_t taken = stream_->send(std::span(output_).subspan(sent_));
  sent_ += taken;
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
  } else if (sent_ > kMaxOutputBytes / 2) {
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  room_.give_back(taken);
}

void Connection::tick(platform::Instant now, platform::Duration missed) {
  started_ += missed;
  last_received_ = std::min(now, last_received_ + missed);
  if (state_ == State::connecting || state_ == State::handshake) {
    if (now - started_ > kHandshakeTimeout) {
      fail(Error(Errc::node_gone, (outgoing() ? named(peer_) : std::string("a peer")) + " did not complete the handshake in 5 s"));
    }
    return;
  }
  if (ended()) return;
  for (Bytes* buffer : {&input_, &output_}) {
    if (buffer->empty() && buffer->capacity() > kKeptBufferBytes) *buffer = Bytes();
  }
  if (now - last_received_ > kSilenceLimit) {
    fail(Error(Errc::node_gone, named(peer_) + " has been silent for 5 s and counts as gone"));
  } else if (now - last_sent_ >= kPingAfter && queued() == 0) {
    room_.take(FrameHeader::kBytes);
    enqueue(FrameHeader{}, {});
  }
}

// --- the end ---

void Connection::on_closed(Result<void> reason) {
  stream_closed_ = true;
  const std::string what = established() || !outgoing() ? named(peer_) + " closed its connection"
                                                        : "cannot connect to " + named(peer_);
  fail(Error(Errc::node_gone, reason ? what : what + ": " + reason.error().text()));
}

void Connection::fail(const Error& reason) {
  if (ended()) return;
  const auto self = weak_from_this().lock();
  finish(reason);
  if (stream_) stream_->close();
  owner_.on_ended(*this, reason);
}

void Connection::end(const Error& reason, bool in_order) {
  if (ended()) return;
  if (in_order) flush();
  finish(reason);
  if (!stream_) return;
  if (in_order) {
    stream_->close();
  } else {
    stream_.reset();
  }
}

void Connection::cancel_calls(const Error& reason) {
  for (Pending& pending : pending_) settle(pending, reason);
}

void Connection::finish(const Error& reason) {
  state_ = State::ended;
  // Whoever waits learns that the node is gone, whatever it did wrong; only a cancellation is no news of the node.
  const bool as_it_is = reason.code() == Errc::cancelled || reason.code() == Errc::node_gone;
  cancel_calls(as_it_is ? reason : Error(Errc::node_gone, reason.text()));
  room_.dismiss();
}

}  // namespace ebb::messenger
