// Questions that outlast a connection.
#pragma once

#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/node_link.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// Makes a call of `node` again, after pauses, while it ends with node_gone although `node` is a member: its connection was
/// lost, and whatever it has is there all the same. For what may be done twice. `ask(left)` begins the call with that
/// timeout; it is no coroutine, and kept until the end. The answer is the last one's, which comes about `give_up` at the
/// latest.
template <class Ask>
std::invoke_result_t<Ask&, platform::Duration> ask_surely(NodeId node, platform::Instant give_up, Ask ask) {
  for (int attempt = 0;; ++attempt) {
    auto asking = ask(give_up - platform::Clock::now());
    auto answer = co_await std::move(asking);
    if (answer.code() != Errc::node_gone || !is_member(node)) co_return answer;
    const bool again = co_await pause_before_retry(attempt, give_up);
    if (!again) co_return answer;
  }
}

}  // namespace ebb::detail
