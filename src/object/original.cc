// The original of a replicated object: carries out writes and sends each replica what it has not seen.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/observe/call_meter.h"
#include "src/object/fence.h"
#include "src/object/replica.h"

namespace ebb::detail {
namespace {

// How long a replica may take for one batch, and the pause before it is sent again.
constexpr platform::Duration kApplyTimeout = std::chrono::seconds(2);
constexpr platform::Duration kSendAgain = std::chrono::milliseconds(10);

/// What sending one write of a batch looks like in its trace.
struct SentWrite {
  OpenSpan span;
  MethodLabel label;
};

/// Begins a span for each write of a sampled trace, which carries it on to the replica.
std::vector<SentWrite> begin_spans(std::vector<Write>& batch, const TypeDescriptor& type) {
  std::vector<SentWrite> spans;
  for (Write& write : batch) {
    if (!write.trace || !write.trace->sampled) continue;
    const RemoteMethod* method = type.find(write.method);
    const std::string_view name = method == nullptr ? std::string_view() : method->name;
    const SentWrite& sent = spans.emplace_back(SentWrite{OpenSpan(*write.trace), {write.method, type.interface_name, name}});
    write.trace = sent.span.trace();
  }
  return spans;
}

}  // namespace

Result<Snapshot> Original::subscribe(NodeId node, CoreIndex core, std::uint64_t attempt) {
  // Of an earlier attempt nobody hears any more. It would count what the later one has yet to get as carried out.
  const auto is_later = [=](const Subscriber& each) { return each.node == node && each.core == core && each.attempt > attempt; };
  if (std::any_of(subscribers_.begin(), subscribers_.end(), is_later)) return Error(Errc::moved, "the core has subscribed anew meanwhile");
  auto state = send_parcel(type_.state.save(value_));
  if (!state) return std::move(state).error();
  std::erase_if(subscribers_, [node, core](const Subscriber& each) { return each.node == node && each.core == core; });
  subscribers_.push_back({node, core, ++last_generation_, attempt, writes_});
  settle();
  return Snapshot{epoch_, writes_, *std::move(state)};
}

task<Result<Bytes>> Original::write(const RemoteMethod& method, Bytes arguments, ServedCaller caller) {
  if (ended_) co_return Error::refusal(Errc::moved, "this is not the object's home any more");
  if (log_.size() >= kMaxUnsent || log_bytes_ >= kMaxUnsentBytes) {
    co_return Error::refusal(Errc::overloaded, "too many writes of object " + std::to_string(id_.index()) +
                                                   " wait for its replicas; nothing ran, try again later");
  }
  if (arguments.size() > kMaxWriteBytes) {
    co_return Error(Errc::too_large, "the arguments of a write have " + std::to_string(arguments.size()) + " bytes; " +
                                         std::to_string(kMaxWriteBytes) + " travel to replicas at most, nothing ran");
  }
  const auto self = shared_from_this();
  log_bytes_ += arguments.size();
  log_.push_back({method.id, caller.node, arguments, std::nullopt});
  log_depth_.set(log_.size());
  if (caller.trace.present()) log_.back().trace = caller.trace;
  const std::uint64_t mine = ++writes_;
  // Plain functions only (replicated.h): this does not wait, so no other write comes between.
  Result<Bytes> answer = co_await method.invoke(value_, std::move(arguments), caller.context);
  if (subscribers_.empty()) {
    settle();
    co_return answer;
  }
  Completion<Result<void>> done;
  waiters_.push_back({mine, &done});
  for (Subscriber& subscriber : subscribers_) send(subscriber);
  if (Result<void> carried_out = co_await done; !carried_out) co_return std::move(carried_out).error();
  co_return answer;
}

void Original::send(Subscriber& subscriber) {
  if (subscriber.sending || ended_) return;
  subscriber.sending = true;
  send_all(shared_from_this(), subscriber.node, subscriber.core, subscriber.generation);
}

std::vector<Write> Original::batch_from(std::uint64_t first) const {
  std::vector<Write> batch;
  std::size_t bytes = 0;
  // The log's last write has the number writes_.
  for (std::size_t at = log_.size() - static_cast<std::size_t>(writes_ - first + 1);
       at < log_.size() && batch.size() < kMaxBatch; ++at) {
    bytes += log_[at].arguments.size();
    if (bytes > kMaxBatchBytes && !batch.empty()) break;
    batch.push_back(log_[at]);
  }
  return batch;
}

Detached Original::send_all(std::shared_ptr<Original> self, NodeId node, CoreIndex core, std::uint32_t generation) {
  for (;;) {
    Subscriber* subscriber = self->find(node, core, generation);
    if (subscriber == nullptr || self->ended_) co_return;
    if (subscriber->acknowledged == self->writes_) {
      subscriber->sending = false;
      co_return;
    }
    const std::uint64_t first = subscriber->acknowledged + 1;
    std::vector<Write> batch = self->batch_from(first);
    const std::uint64_t last = first + batch.size() - 1;
    std::vector<SentWrite> spans = begin_spans(batch, self->type_);
    const auto applied = co_await kReplicaService.on(node, core).within(kApplyTimeout).call<&ReplicaService::apply>(
        self->id_, self->epoch_, first, std::move(batch));
    const Errc code = !applied ? applied.code() : *applied ? Errc::ok : Errc::moved;
    for (SentWrite& sent : spans) sent.span.end(SpanKind::client, sent.label, self->id_, node, code);
    if (applied && *applied) {
      if (Subscriber* still = self->find(node, core, generation)) still->acknowledged = last;
      self->settle();
    } else if (applied) {
      self->remove(node, core, generation);
    } else if (!is_member(node)) {
      co_await outlast_lost(node);
      self->remove(node, core, generation);
    } else {
      co_await sleep_for(kSendAgain);
    }
  }
}

Original::Subscriber* Original::find(NodeId node, CoreIndex core, std::uint32_t generation) {
  const auto found = std::find_if(subscribers_.begin(), subscribers_.end(), [=](const Subscriber& each) {
    return each.node == node && each.core == core && each.generation == generation;
  });
  return found == subscribers_.end() ? nullptr : &*found;
}

void Original::remove(NodeId node, CoreIndex core, std::uint32_t generation) {
  std::erase_if(subscribers_, [=](const Subscriber& each) {
    return each.node == node && each.core == core && each.generation == generation;
  });
  settle();
}

void Original::settle() {
  std::uint64_t everywhere = writes_;
  for (const Subscriber& each : subscribers_) everywhere = std::min(everywhere, each.acknowledged);
  while (!waiters_.empty() && waiters_.front().write <= everywhere) {
    waiters_.front().done->complete();
    waiters_.pop_front();
  }
  while (log_.size() > writes_ - everywhere) {
    log_bytes_ -= log_.front().arguments.size();
    log_.pop_front();
  }
  log_depth_.set(log_.size());
}

void Original::end() {
  ended_ = true;
  for (Waiter& waiter : waiters_) {
    waiter.done->complete(Error(Errc::cancelled, "the object ended before all its replicas had carried out a write"));
  }
  waiters_.clear();
}

}  // namespace ebb::detail
