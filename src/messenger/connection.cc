#include "src/messenger/connection.h"

#include <algorithm>
#include <utility>

namespace ebb::messenger {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

/// Suspends until the output has room or the connection is over.
class Connection::RoomAwaiter {
 public:
  explicit RoomAwaiter(Connection& connection) noexcept : connection_(connection) {}
  bool await_ready() const noexcept { return connection_.ended() || connection_.queued() < kMaxOutputBytes; }
  void await_suspend(std::coroutine_handle<> waiting) { connection_.room_waiters_.push_back(waiting); }
  void await_resume() const noexcept {}

 private:
  Connection& connection_;
};

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
  flush();
}

// --- in ---

void Connection::on_data(std::span<const std::byte> bytes) {
  const auto self = shared_from_this();  // whoever hears of a frame may let go of the connection
  last_received_ = platform::Clock::now();
  if (!input_.empty()) {
    input_.insert(input_.end(), bytes.begin(), bytes.end());
    const std::size_t taken = take(input_);
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
    return;
  }
  const std::size_t taken = take(bytes);
  if (!ended()) input_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
}

std::size_t Connection::take(std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  while (!ended()) {
    const auto rest = bytes.subspan(taken);
    if (state_ == State::handshake) {
      const std::size_t step = take_handshake(rest);
      if (step == 0) break;
      taken += step;
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
    take_frame(*header, rest.subspan(FrameHeader::kBytes, header->payload_bytes));
    taken += size;
  }
  return taken;
}

std::size_t Connection::take_handshake(std::span<const std::byte> bytes) {
  const std::size_t needed = handshake_.needed();
  if (bytes.size() < needed) return 0;
  const Result<void> fed = handshake_.feed(bytes.first(needed), output_);
  flush();
  if (!fed) {
    fail(fed.error());
    return needed;
  }
  if (handshake_.done()) {
    state_ = State::established;
    peer_ = handshake_.peer().node;
    owner_.on_established(*this);
  }
  return needed;
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
      complete(header.call_id, Bytes(payload.begin(), payload.end()));
      return;
    case FrameType::error:
      complete(header.call_id, Error(to_code(header.core_or_code),
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
  const std::uint32_t id = pending.generation << kSlotBits | slot;
  pending.waiter = &waiter;
  pending.timer = Core::current().call_at(deadline, [this, id] {
    pending_[id % kMaxPendingCalls].timer = {};
    complete(id, Error(Errc::deadline_exceeded, named(peer_) + " did not answer in time; the call may or may not have run"));
  });
  return id;
}

void Connection::complete(std::uint32_t call_id, Result<Bytes> answer) {
  const std::uint32_t slot = call_id % kMaxPendingCalls;
  if (slot >= pending_.size()) return;
  Pending& pending = pending_[slot];
  if (pending.waiter == nullptr || (pending.generation << kSlotBits | slot) != call_id) return;  // late
  if (pending.timer != TimerId{}) Core::current().cancel(pending.timer);
  Completion<Result<Bytes>>* waiter = std::exchange(pending.waiter, nullptr);
  pending.timer = {};
  ++pending.generation;
  free_slots_.push_back(slot);
  waiter->complete(std::move(answer));
}

task<Result<Bytes>> Connection::call(CallTarget target, platform::Instant deadline, Bytes arguments) {
  const auto self = shared_from_this();
  Completion<Result<Bytes>> answered;
  const auto id = new_pending(answered, deadline);
  if (!id) {
    co_return Error(Errc::overloaded, std::to_string(kMaxPendingCalls) + " calls to " + named(peer_) +
                                          " wait for their answers; try again when some have come");
  }
  while (queued() >= kMaxOutputBytes && !answered.ready()) co_await RoomAwaiter(*this);
  // The deadline, or the connection's end, may have come first.
  if (!answered.ready()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - platform::Clock::now()).count();
    FrameHeader header;
    header.type = FrameType::call;
    header.payload_bytes = static_cast<std::uint32_t>(arguments.size());
    header.core_or_code = to_number(target.core);
    header.call_id = *id;
    header.object = target.object.index();
    header.method = target.method;
    header.timeout_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 0xffff'ffff));
    enqueue(header, arguments);
    arguments = Bytes();
  }
  co_return co_await answered;
}

task<void> Connection::answer(std::uint32_t call_id, Result<Bytes> answer) {
  const auto self = shared_from_this();
  while (!ended() && queued() >= kMaxOutputBytes) co_await RoomAwaiter(*this);
  if (ended()) co_return;
  if (answer && answer->size() > Messenger::kMaxPayloadBytes) {
    answer = Error(Errc::too_large, "the result has " + std::to_string(answer->size()) + " bytes; " +
                                        std::to_string(Messenger::kMaxPayloadBytes) + " travel at most");
  }
  if (!answer) {
    answer_error(call_id, answer.error());
    co_return;
  }
  FrameHeader header;
  header.type = FrameType::reply;
  header.payload_bytes = static_cast<std::uint32_t>(answer->size());
  header.call_id = call_id;
  enqueue(header, *answer);
}

void Connection::answer_error(std::uint32_t call_id, const Error& error) {
  if (ended()) return;
  constexpr std::size_t kMaxTextBytes = 4096;
  const auto text = bytes_of(error.text()).first(std::min(error.text().size(), kMaxTextBytes));
  FrameHeader header;
  header.type = FrameType::error;
  header.payload_bytes = static_cast<std::uint32_t>(text.size());
  header.core_or_code = static_cast<std::uint16_t>(error.code());
  header.call_id = call_id;
  enqueue(header, text);
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
  if (queued() != 0) {
    last_sent_ = platform::Clock::now();
    sent_ += stream_->send(std::span(output_).subspan(sent_));
  }
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
  } else if (sent_ > kMaxOutputBytes / 2) {
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  if (queued() < kMaxOutputBytes) wake_for_room();
}

void Connection::wake_for_room() {
  while (!room_waiters_.empty()) {
    Core::current().resume_soon(room_waiters_.front());
    room_waiters_.pop_front();
  }
}

void Connection::tick(platform::Instant now) {
  if (state_ == State::connecting || state_ == State::handshake) {
    if (now - started_ > kHandshakeTimeout) {
      fail(Error(Errc::node_gone, (outgoing() ? named(peer_) : std::string("a peer")) + " did not complete the handshake in 5 s"));
    }
    return;
  }
  if (ended()) return;
  if (now - last_received_ > kSilenceLimit) {
    fail(Error(Errc::node_gone, named(peer_) + " has been silent for 5 s and counts as gone"));
  } else if (now - last_sent_ >= kPingAfter && queued() == 0) {
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
  for (std::uint32_t slot = 0; slot < pending_.size(); ++slot) {
    const Pending& pending = pending_[slot];
    if (pending.waiter != nullptr) complete(pending.generation << kSlotBits | slot, reason);
  }
}

void Connection::finish(const Error& reason) {
  state_ = State::ended;
  // Whoever waits learns that the node is gone, whatever it did wrong; only a cancellation is no news of the node.
  const bool as_it_is = reason.code() == Errc::cancelled || reason.code() == Errc::node_gone;
  cancel_calls(as_it_is ? reason : Error(Errc::node_gone, reason.text()));
  wake_for_room();
}

}  // namespace ebb::messenger
