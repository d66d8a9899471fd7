#include "ebb/object/call_context.h"

#include <string>

#include "ebb/async/on_core.h"
#include "ebb/object/local_call.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {

CancelRelay::CancelRelay(const cancel_token& token, CoreIndex to)
    : source_(std::make_shared<cancel_source>()), heard_(token, [source = source_, to] {
        spawn_on_when_room(to, [source] { source->cancel(); });
      }) {}

void LocalOrigin::require_wanted() const {
  if (deadline != kNoDeadline && platform::Clock::now() > deadline) {
    throw ErrorException(Error(Errc::deadline_exceeded, "the call came to its turn too late; nothing ran"));
  }
  if (cancellation != nullptr && cancellation->token().is_cancelled()) {
    throw ErrorException(Error(Errc::cancelled, "the call was cancelled before it began; nothing ran"));
  }
}

Error for_its_deadline(Error cancelled, platform::Instant deadline) {
  if (cancelled.code() != Errc::cancelled || platform::Clock::now() < deadline) return cancelled;
  const bool nothing_ran = cancelled.text().ends_with("nothing ran");
  return Error(Errc::deadline_exceeded, nothing_ran ? "the call could not be carried out in time; nothing ran"
                                                    : "the call was not answered in time; it may or may not have run");
}

Result<void> begin_own_send() {
  std::uint32_t& sends = NodeTable::instance().own_sends();
  if (sends >= kMaxOwnSends) {
    return Error(Errc::overloaded, std::to_string(kMaxOwnSends) + " one-way calls of this core are under way; try again later");
  }
  ++sends;
  return {};
}

void end_own_send() noexcept { --NodeTable::instance().own_sends(); }

Result<void> room_to_give_up() {
  if (NodeTable::instance().given_up() < kMaxGivenUp) return {};
  return Error::refusal(Errc::overloaded, std::to_string(kMaxGivenUp) + " calls that this core has given up, at their deadlines or by "
                                              "tokens, still run; nothing ran, try again when some of them have ended");
}

void begin_given_up() noexcept { ++NodeTable::instance().given_up(); }
void end_given_up() noexcept { --NodeTable::instance().given_up(); }

ServedContext::ServedContext(ObjectId id, const CallOrigin& origin) : id_(id) {
  context_ = {origin.deadline, source_.token(), origin.trace, origin.caller};
  if (origin.cancellation != nullptr) given_up_.emplace(origin.cancellation->token(), [this] { source_.cancel(); });
  if (origin.deadline != kNoDeadline) {
    timer_ = Core::current().call_at(origin.deadline, [this] {
      timer_ = {};
      source_.cancel();
    });
  }
  NodeTable::instance().link(*this);
}

ServedContext::~ServedContext() {
  if (timer_ != TimerId{}) Core::current().cancel(timer_);
  NodeTable::instance().unlink(*this);
}

}  // namespace ebb::detail
