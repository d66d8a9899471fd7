// What a call carries besides its arguments: until when, on whose behalf, who may end it early.
#pragma once

#include <memory>
#include <optional>

#include "ebb/async/cancellation.h"
#include "ebb/async/core.h"
#include "ebb/base/ids.h"
#include "ebb/base/trace_context.h"
#include "ebb/platform/platform.h"

namespace ebb {

inline constexpr platform::Instant kNoDeadline = platform::Instant::max();  ///< of a call that may take for ever

/// What a method hears of the call that it carries out, if its first parameter is a `const ebb::call_context&`; that is no
/// argument, and the runtime fills it in. Good until the method has ended, on its core only. Hand it on with
/// `target.under(context)`.
struct call_context {
  /// Of the caller, on this node's clock; kNoDeadline if there is none. The token fires when it has passed.
  platform::Instant deadline = kNoDeadline;
  /// Fires when nobody waits for the answer any more: the caller gave up or is lost, the deadline has passed, or the object
  /// is to end and has waited long enough.
  cancel_token cancellation;
  TraceContext trace;
  /// The node that called.
  NodeId caller = kNoNode;
};

namespace detail {

/// Of a call without a deadline, which nobody cancels.
inline constexpr call_context kNoContext{};

/// Brings a cancellation from the core of its token to another core. Made on the first; `token()` is the other's.
class CancelRelay {
 public:
  CancelRelay(const cancel_token& token, CoreIndex to);
  CancelRelay(const CancelRelay&) = delete;
  CancelRelay& operator=(const CancelRelay&) = delete;

  /// What it is there; kept by the receiver for as long as it uses a token of it.
  const std::shared_ptr<cancel_source>& source() const noexcept { return source_; }

 private:
  std::shared_ptr<cancel_source> source_;  // used on the other core only
  cancel_callback heard_;
};

/// Where a call that is carried out came from. `cancellation` (nullptr: nobody cancels it) belongs to the core that carries
/// it out.
struct CallOrigin {
  NodeId caller = kNoNode;
  platform::Instant deadline = kNoDeadline;
  TraceContext trace;
  cancel_source* cancellation = nullptr;
};

/// The context of a call while its method runs, and what fires its token. One core; stays where it is.
class ServedContext {
 public:
  /// `id`: the object whose end may cancel it.
  ServedContext(ObjectId id, const CallOrigin& origin);
  ~ServedContext();
  ServedContext(const ServedContext&) = delete;
  ServedContext& operator=(const ServedContext&) = delete;

  const call_context& context() const noexcept { return context_; }
  ObjectId id() const noexcept { return id_; }
  void cancel() { source_.cancel(); }

  ServedContext* previous = nullptr;  // among those of its core; NodeTable
  ServedContext* next = nullptr;

 private:
  const ObjectId id_;
  cancel_source source_;
  call_context context_;
  TimerId timer_;
  std::optional<cancel_callback> given_up_;
};

}  // namespace detail
}  // namespace ebb
