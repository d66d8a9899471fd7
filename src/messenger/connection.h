// One authenticated connection between a core of this node and one of a peer: frames out, frames in, who waits for what.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/base/queue_depth.h"
#include "ebb/messenger/messenger.h"
#include "ebb/platform/stream.h"
#include "src/messenger/frame.h"
#include "src/messenger/handshake.h"
#include "src/messenger/output.h"
#include "src/messenger/ring.h"
#include "src/messenger/room.h"
#include "src/messenger/served_calls.h"

namespace ebb::messenger {

class Connection;

/// node_gone for a call of which nothing was sent: it can be made again.
inline Error never_sent(const std::string& reason) { return Error::refusal(Errc::node_gone, reason + "; nothing ran"); }

/// What a connection tells the core's part of the messenger, from platform callbacks and from events: must not block.
class ConnectionOwner {
 public:
  /// The handshake is done; the peer is known from now on.
  virtual void on_established(Connection& connection) = 0;
  /// A call came in; Connection::answer() once its answer is there, unless it is one-way.
  virtual void on_call(Connection& connection, std::uint32_t call_id, IncomingCall call) = 0;
  /// It is over; nothing else follows. `reason` says why, also for the peer's orderly end.
  virtual void on_ended(Connection& connection, const Error& reason) = 0;
  /// It has output; flush() is due at the end of this turn of the loop.
  virtual void on_output(Connection& connection) = 0;
  /// Something came to be at stake on it, or it has a sign of life to give: tick() is due from now on, until it says otherwise.
  virtual void on_awake(Connection& connection) noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

/// Belongs to one core. Kept by shared pointers of that core: an answer may come when the connection is long over.
///
/// It looks for silence, and breaks its own, only while something is at stake here: its handshake, calls that wait for their
/// answers (also those whose callers have given up: each holds a place), calls of the peer, output that the stream does not take,
/// a message that has come in part, or a one-way call since which nothing has come. So an idle connection costs no time, and may be
/// dead without anybody knowing, until it is used. Its place in a ring is for its owner's list of those that are awake.
class Connection final : public std::enable_shared_from_this<Connection>, public platform::StreamHandler, public RingPlace {
 public:
  static constexpr std::size_t kMaxPendingCalls = 16'384;
  static constexpr std::size_t kMaxIncomingCalls = 4096;
  /// Of each of these, what only calls to objects of the runtime may take: those of applications never take the last places.
  static constexpr std::size_t kControlCalls = 256;
  static constexpr std::size_t kMaxAnswerBytes = std::size_t{16} << 20;
  static constexpr std::size_t kMaxOutputBytes = std::size_t{8} << 20;
  /// Of calls to objects of the runtime and their answers, which wait for no other output.
  static constexpr std::size_t kMaxControlBytes = std::size_t{1} << 20;
  /// One-way calls that wait for room.
  static constexpr std::size_t kMaxWaitingSends = 4096;
  /// Of output with the answers that wait for no room: a peer that sends calls and takes no answers is disconnected.
  static constexpr std::size_t kMaxBacklogBytes = std::size_t{16} << 20;
  /// Buffers that grew larger are given back when a tick finds them empty.
  static constexpr std::size_t kKeptBufferBytes = std::size_t{256} << 10;
  static constexpr platform::Duration kHandshakeTimeout = std::chrono::seconds(5);
  static constexpr platform::Duration kPingAfter = std::chrono::seconds(1);
  /// While something is at stake, and from when it came to be; but see kFrontEndSilence.
  static constexpr platform::Duration kSilenceLimit = std::chrono::seconds(5);

  Connection(ConnectionOwner& owner, Handshake::Side side, const Hello& own, const ClusterKey& key);
  ~Connection() override;

  /// The connecting side.
  Result<void> open(platform::Endpoint remote);
  /// The accepting side.
  void adopt(std::unique_ptr<platform::Stream> stream);

  bool established() const noexcept { return state_ == State::established; }
  bool ended() const noexcept { return state_ == State::ended; }
  /// Whether the peer has ever proved itself here.
  bool was_established() const noexcept { return handshake_.done(); }
  bool has_output() const noexcept { return !ended() && queued() != 0; }
  /// Nothing more will go out or come in.
  bool stream_closed() const noexcept { return stream_closed_ || !stream_; }
  bool outgoing() const noexcept { return side_ == Handshake::Side::connecting; }
  /// Whom it leads to: proved once established, before that whom it is meant for.
  NodeId peer() const noexcept { return peer_; }
  platform::Endpoint remote() const { return stream_ ? stream_->remote() : platform::Endpoint{}; }
  /// Calls of the peer that this side works on, and the bytes of their arguments and of answers that wait for room.
  std::size_t incoming_calls = 0;
  std::size_t incoming_bytes = 0;
  /// One of them begins, or has ended.
  void count_incoming(bool begins) noexcept {
    incoming_depth_.set(begins ? ++incoming_calls : --incoming_calls);
    if (begins) wake();
  }
  /// Answers that wait for room. As long as there are more of them than its limit, no further call begins: one that was let in
  /// begins with the largest payload for its answer, which is not known before.
  Room answers{kMaxAnswerBytes};
  /// The same calls, by their ids; all are cancelled at the end of the connection.
  ServedCalls served;
  /// That it exists is at stake: the peer is no member, so that nobody would end the connection of one that vanished. Set
  /// when it is established.
  bool of_stranger = false;

  /// Sends a call and waits for its answer; established connections only.
  task<Result<Bytes>> call(CallTarget target, platform::Instant deadline, Bytes arguments);
  /// Sends a call that is not answered; waits for room until the deadline.
  task<Result<void>> send(CallTarget target, platform::Instant deadline, Bytes arguments);

  /// `if (co_await room)`: one answer() with so many bytes may follow; false when the connection is over. `control`: the
  /// call was one to an object of the runtime.
  Room::Waiter room_for(std::size_t payload_bytes, bool control) noexcept {
    return {control ? control_room_ : room_, FrameHeader::kBytes + payload_bytes};
  }
  void answer(std::uint32_t call_id, std::span<const std::byte> result, bool control);
  /// Answers with an error, whatever the room.
  void answer_error(std::uint32_t call_id, const Error& error, bool control);

  /// Writes out what is queued, as far as the stream takes it.
  void flush();
  /// Looks for silence, and breaks it; about twice a second while it is awake. `missed`: how long this core itself was away beyond
  /// that, which says nothing about the peer. False when it need not be called again before the next on_awake().
  bool tick(platform::Instant now, platform::Duration missed);
  /// The peer may have lost it without a word: asks, and gives it up if nothing comes.
  void probe() noexcept;
  /// Gives every pending call `reason`; node_gone as a refusal, where nothing of the call has gone out. The connection stays.
  void cancel_calls(const Error& reason);
  /// Ends it from this side: pending calls get `reason`, on_ended is not called. Queued output is sent if `in_order`, and the
  /// peer told that of its calls only those have run which are answered.
  void end(const Error& reason, bool in_order);

  // platform::StreamHandler
  void on_connected() override;
  void on_data(std::span<const std::byte> bytes) override;
  void on_writable() override { flush(); }
  void on_closed(Result<void> reason) override;

 private:
  enum class State { connecting, handshake, established, ended };
  struct Pending {
    Completion<Result<Bytes>>* waiter = nullptr;
    Room::Waiter* room = nullptr;  // not sent yet: waits for room
    std::uint32_t generation = 0;
    bool sent = false;
    bool control = false;
    std::uint64_t begin = 0;  // of its frame, once sent; see Output::end()
    TimerId timer;
  };
  // In a call's id: the slot, and how often it has been used.
  static constexpr std::uint32_t kSlotBits = 14;
  static_assert(kMaxPendingCalls == std::size_t{1} << kSlotBits);

  std::size_t queued() const noexcept { return output_.queued() + control_.queued(); }
  /// Room for it has been taken.
  void enqueue(const FrameHeader& header, std::span<const std::byte> prefix, std::span<const std::byte> payload, bool control);
  /// A frame without payload, which waits for no room.
  void enqueue_at_once(const FrameHeader& header, bool control);
  /// Whether something here needs the peer; see above.
  bool at_stake() const noexcept;
  void wake() noexcept;
  /// How long the peer may say nothing.
  platform::Duration silence_limit() const noexcept { return peer_ == kFrontEndNode ? kFrontEndSilence : kSilenceLimit; }
  /// False if there is no memory for it.
  bool try_enqueue_call(const CallTarget& target, platform::Instant deadline, std::uint32_t call_id, std::uint8_t flags,
                        std::span<const std::byte> arguments);
  /// Puts the first `count` bytes of a queue into the stream; whether it took all.
  bool push(Output& output, Room& room, std::size_t count);
  /// How many of the bytes were taken; what is left is an incomplete message, or the connection has ended.
  std::size_t take(std::span<const std::byte> bytes);
  /// How many bytes the message that starts with these has; 0 when it breaks the protocol. Never more than are needed to
  /// know more.
  std::size_t message_bytes(std::span<const std::byte> bytes) const noexcept;
  void take_handshake(std::span<const std::byte> message);
  void take_bytes(std::span<const std::byte> bytes);
  void take_call(const FrameHeader& header, std::span<const std::byte> payload);
  void take_result(std::uint32_t call_id, std::span<const std::byte> payload);
  void take_frame(const FrameHeader& header, std::span<const std::byte> payload);
  Pending* find_pending(std::uint32_t call_id) noexcept;
  void settle(Pending& pending, Result<Bytes> answer);
  /// Whether some of its frame has gone out.
  bool has_begun(const Pending& pending) const noexcept;
  /// Its caller has cancelled it.
  void give_up(std::uint32_t call_id);
  void take_answer(std::uint32_t call_id, Result<Bytes> answer);
  void free_slot(std::uint32_t slot);
  std::optional<std::uint32_t> new_pending(Completion<Result<Bytes>>& waiter, platform::Instant deadline, bool control);
  void say_goodbye() noexcept;
  void fail(const Error& reason);
  void finish(const Error& reason);

  ConnectionOwner& owner_;
  const Handshake::Side side_;
  State state_ = State::connecting;
  NodeId peer_;
  Handshake handshake_;
  std::unique_ptr<platform::Stream> stream_;
  Bytes input_;             // an incomplete message
  Output output_;
  Output control_;          // goes first, between two frames of output_
  bool output_noted_ = false;
  bool stream_closed_ = false;
  Room room_{kMaxOutputBytes};  // in output_; its waiters are bounded by pending and incoming calls
  Room control_room_{kMaxControlBytes};
  std::size_t waiting_sends_ = 0;
  std::vector<Pending> pending_;
  std::vector<std::uint32_t> free_slots_;
  void note_pending() noexcept { pending_depth_.set(pending_.size() - free_slots_.size()); }
  // How far queued() may go before answer_error() ends the connection.
  static constexpr std::size_t kMostOutputBytes = kMaxBacklogBytes + FrameHeader::kBytes + FrameHeader::kMaxErrorTextBytes;
  detail::QueueDepth pending_depth_;
  detail::QueueDepth waiting_sends_depth_;
  detail::QueueDepth output_depth_;
  detail::QueueDepth incoming_depth_;
  platform::Instant started_;
  platform::Instant peer_silent_since_;  // or since that came to matter
  platform::Instant own_silent_since_;   // the same
  bool rest_never_ran_ = false;  // the peer has said goodbye
  bool awake_ = false;
  bool wants_sign_ = false;  // nothing has come since a one-way call, or a probe
  bool owes_sign_ = false;   // nothing has gone since a ping of the peer, or a one-way call
};

}  // namespace ebb::messenger
