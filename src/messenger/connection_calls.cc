// Calls by one connection: those of this side, and the answers to the peer's.
#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "src/messenger/connection.h"

namespace ebb::messenger {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

Error no_memory() { return Error::refusal(Errc::overloaded, "no memory to send the call; nothing ran, try again later"); }

std::size_t call_bytes(const CallTarget& target, const Bytes& arguments) noexcept {
  return FrameHeader::kBytes + arguments.size() + (target.trace.present() ? FrameHeader::kTraceBytes : 0);
}

}  // namespace

std::optional<std::uint32_t> Connection::new_pending(Completion<Result<Bytes>>& waiter, platform::Instant deadline,
                                                     bool control) {
  if (pending_.size() - free_slots_.size() >= (control ? kMaxPendingCalls : kMaxPendingCalls - kControlCalls)) return std::nullopt;
  if (free_slots_.empty()) {
    // With room for its return: free_slot() must not fail.
    if (free_slots_.capacity() <= pending_.size()) free_slots_.reserve(std::max<std::size_t>(16, 2 * pending_.size()));
    pending_.emplace_back();
    free_slots_.push_back(static_cast<std::uint32_t>(pending_.size() - 1));
  }
  const std::uint32_t slot = free_slots_.back();
  // What may throw comes before anything is taken.
  const TimerId timer = Core::current().call_at(deadline, [this, slot] {
    Pending& late = pending_[slot];
    late.timer = {};
    settle(late, Error(Errc::deadline_exceeded, named(peer_) + " did not answer in time; the call may or may not have run"));
  });
  free_slots_.pop_back();
  Pending& pending = pending_[slot];
  note_pending();
  pending.waiter = &waiter;
  pending.timer = timer;
  wake();
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

bool Connection::has_begun(const Pending& pending) const noexcept {
  return pending.sent && !rest_never_ran_ && (pending.control ? control_ : output_).has_begun(pending.begin);
}

void Connection::cancel_calls(const Error& reason) {
  const Error before = reason.code() == Errc::node_gone ? never_sent(reason.text()) : reason;
  for (Pending& pending : pending_) settle(pending, has_begun(pending) ? reason : before);
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
  if (!ended()) note_pending();
}

void Connection::give_up(std::uint32_t call_id) {
  Pending* pending = find_pending(call_id);
  if (pending == nullptr || pending->waiter == nullptr) return;
  const bool sent = pending->sent;
  // It goes first, but never before its own call: the peer drops one for a call that it does not know.
  const bool control = pending->control || output_.has_begun(pending->begin);
  settle(*pending, Error(Errc::cancelled, "the caller cancelled the call; it may or may not have run"));
  if (!sent || ended()) return;
  // Bounded like the calls: one a call that was sent.
  FrameHeader header;
  header.type = FrameType::cancel;
  header.call_id = call_id;
  enqueue_at_once(header, control);
}

bool Connection::try_enqueue_call(const CallTarget& target, platform::Instant deadline, std::uint32_t call_id,
                                  std::uint8_t flags, std::span<const std::byte> arguments) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - platform::Clock::now()).count();
  FrameHeader header;
  header.type = FrameType::call;
  header.payload_bytes = static_cast<std::uint32_t>(arguments.size());
  header.core_or_code = to_number(target.core);
  header.call_id = call_id;
  header.object = target.object.index();
  header.method = target.method;
  header.timeout_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 0xffff'ffff));
  header.flags = flags;
  const bool control = is_control(target.object);
  if (control) header.flags |= kControl;
  const std::uint64_t begin = (control ? control_ : output_).end();
  const TraceBytes trace = encode(target.trace);
  std::span<const std::byte> prefix;
  if (target.trace.present()) {
    header.flags |= kTraced;
    header.payload_bytes += static_cast<std::uint32_t>(FrameHeader::kTraceBytes);
    prefix = trace;
  }
  try {
    enqueue(header, prefix, arguments, control);
  } catch (const std::bad_alloc&) {
    return false;
  }
  if ((flags & kOneWay) != 0) {
    probe();  // no answer will tell that it has arrived
    return true;
  }
  Pending& pending = pending_[call_id % kMaxPendingCalls];
  pending.sent = true;
  pending.control = control;
  pending.begin = begin;
  return true;
}

task<Result<Bytes>> Connection::call(CallTarget target, platform::Instant deadline, Bytes arguments) {
  const auto self = shared_from_this();
  Completion<Result<Bytes>> answered;
  const bool control = is_control(target.object);
  const auto id = new_pending(answered, deadline, control);
  if (!id) {
    co_return Error::refusal(Errc::overloaded, std::to_string(pending_.size() - free_slots_.size()) + " calls to " + named(peer_) +
                                                   " wait for their answers; try again when some have come");
  }
  const std::uint32_t slot = *id % kMaxPendingCalls;
  const std::size_t frame_bytes = call_bytes(target, arguments);
  Room& room = control ? control_room_ : room_;
  std::optional<cancel_callback> cancelled;
  if (target.cancellation.can_be_cancelled()) {
    cancelled.emplace(target.cancellation, [this, call_id = *id] { give_up(call_id); });
  }
  bool has_room = room.try_take(frame_bytes);
  if (!has_room && !answered.ready()) {
    Room::Waiter waiter(room, frame_bytes);
    pending_[slot].room = &waiter;
    has_room = co_await waiter;
    pending_[slot].room = nullptr;
  }
  if (answered.ready()) {  // the deadline, a cancellation, or the connection's end came first
    if (has_room) room.give_back(frame_bytes);
    free_slot(slot);
    co_return co_await answered;
  }
  if (!try_enqueue_call(target, deadline, *id, 0, arguments)) {
    room.give_back(frame_bytes);
    settle(pending_[slot], no_memory());
    free_slot(slot);
    co_return co_await answered;
  }
  arguments = Bytes();
  co_return co_await answered;
}

task<Result<void>> Connection::send(CallTarget target, platform::Instant deadline, Bytes arguments) {
  const auto self = shared_from_this();
  const std::size_t frame_bytes = call_bytes(target, arguments);
  Room& room = is_control(target.object) ? control_room_ : room_;
  if (target.cancellation.is_cancelled()) co_return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
  if (!room.try_take(frame_bytes)) {
    if (waiting_sends_ >= kMaxWaitingSends) {
      co_return Error::refusal(Errc::overloaded, std::to_string(kMaxWaitingSends) + " calls to " + named(peer_) +
                                            " wait to be sent; try again when some have gone");
    }
    Room::Waiter waiter(room, frame_bytes);
    TimerId timer = Core::current().call_at(deadline, [&waiter, &timer] {
      timer = {};
      waiter.give_up();
    });
    const cancel_callback cancelled(target.cancellation, [&waiter] { waiter.give_up(); });
    waiting_sends_depth_.set(++waiting_sends_);
    const bool has_room = co_await waiter;
    waiting_sends_depth_.set(--waiting_sends_);
    Core::current().cancel(timer);
    if (!has_room) {
      if (ended()) co_return never_sent(named(peer_) + " was lost before the call could be sent");
      if (target.cancellation.is_cancelled()) co_return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
      co_return Error(Errc::deadline_exceeded, "no room to send to " + named(peer_) + " in time; nothing ran");
    }
  }
  if (ended()) co_return never_sent(named(peer_) + " was lost before the call could be sent");
  if (!try_enqueue_call(target, deadline, 0, kOneWay, arguments)) {
    room.give_back(frame_bytes);
    co_return no_memory();
  }
  co_return Result<void>();
}

void Connection::answer(std::uint32_t call_id, std::span<const std::byte> result, bool control) {
  if (ended()) return;
  FrameHeader header;
  header.type = FrameType::reply;
  header.payload_bytes = static_cast<std::uint32_t>(result.size());
  header.call_id = call_id;
  header.flags = control ? kControl : 0;
  try {
    enqueue(header, {}, result, control);
  } catch (const std::bad_alloc&) {
    (control ? control_room_ : room_).give_back(FrameHeader::kBytes + result.size());
    answer_error(call_id, Error(Errc::resource_exhausted, "the call has run, and there is no memory to send its result"), control);
  }
}

void Connection::answer_error(std::uint32_t call_id, const Error& error, bool control) {
  if (ended()) return;
  const auto text = bytes_of(error.text()).first(std::min(error.text().size(), FrameHeader::kMaxErrorTextBytes));
  FrameHeader header;
  header.type = FrameType::error;
  header.payload_bytes = static_cast<std::uint32_t>(text.size());
  header.core_or_code = static_cast<std::uint16_t>(error.code());
  header.call_id = call_id;
  header.flags = static_cast<std::uint8_t>((control ? kControl : 0) | (error.is_refusal() ? kRefusal : 0));
  Room& room = control ? control_room_ : room_;
  room.take(FrameHeader::kBytes + text.size());
  try {
    enqueue(header, {}, text, control);
  } catch (...) {
    room.give_back(FrameHeader::kBytes + text.size());
    throw;
  }
  if (queued() > kMaxBacklogBytes) {
    fail(Error(Errc::node_gone, named(peer_) + " sends calls and takes no answers; its connection was closed"));
  }
}

}  // namespace ebb::messenger
