#include "frontend/observe/collector.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_link.h"
#include "ebb/observe/span.h"
#include "frontend/observe/method_merge.h"
#include "frontend/observe/read_methods.h"
#include "frontend/observe/read_spans.h"

namespace ebb::frontend::observe {
namespace {

using detail::kObserver;
using detail::ObserverService;

constexpr platform::Duration kAnswerLimit = std::chrono::seconds(10);
constexpr platform::Duration kLook = std::chrono::seconds(1);
constexpr platform::Duration kMethodsEvery = std::chrono::seconds(10);
// Batches that one node is asked for in a row.
constexpr int kMostBatches = 16;
// A core takes longer than that for a span, and had no more when the collector began: a count beyond is no count.
constexpr std::int64_t kLeastNsOfSpan = 10;
constexpr std::uint64_t kMostSpansAtStart = 1'000'000;

std::int64_t clock_ns() { return std::chrono::nanoseconds(platform::Clock::now().time_since_epoch()).count(); }
std::int64_t unix_ns() { return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

call_context ending(platform::Instant until) {
  call_context context;
  context.deadline = until;
  return context;
}

task<Result<std::int64_t>> clock_of(NodeId node, platform::Instant until) {
  return kObserver.on(node).under(ending(until)).call<&ObserverService::clock>();
}

std::vector<NodeId> members() {
  std::vector<NodeId> nodes;
  for (const detail::ClusterView::Node& node : detail::cluster_view().nodes) nodes.push_back(node.id);
  return nodes;
}

/// What each of `nodes` tells of its methods.
task<std::vector<Result<std::vector<detail::MethodRecord>>>> methods_of(std::vector<NodeId> nodes) {
  std::vector<task<Result<std::vector<detail::MethodRecord>>>> asked;
  for (const NodeId node : nodes) asked.push_back(kObserver.on(node).within(Collector::kNodeLimit).call<&ObserverService::methods>());
  return when_all(std::move(asked));
}

}  // namespace

Collector::Collector(Sink* sink, std::uint32_t per_million)
    : sink_(sink), per_million_(per_million), begun_ns_(clock_ns()), begun_unix_ns_(unix_ns()),
      methods_due_(platform::Clock::now() + kMethodsEvery), clocks_(clock_of, clock_ns) {}

void Collector::start() {
  // At once, so that the application's first calls are sampled too.
  ebb::observe::sample(per_million_);
  watch(kFrontEndNode)->rate = per_million_;
  scope_.spawn(look_again());
}

task<void> Collector::welcome(NodeId node) {
  if (closing_.happened() || per_million_ == 0) co_return;
  co_await set_rate(node);
}

task<void> Collector::look_again() {
  while (!closing_.happened()) {
    const std::vector<NodeId> nodes = members();
    forget_all_but(nodes);
    for (const NodeId node : nodes) {
      if (watch(node)->rate != per_million_) scope_.spawn(set_rate(node));
    }
    if (sink_ != nullptr || per_million_ != 0) static_cast<void>(co_await gather());
    // finish() waits for this, and tells of methods itself.
    if (closing_.happened()) co_return;
    if (sink_ != nullptr && platform::Clock::now() >= methods_due_) {
      methods_due_ = platform::Clock::now() + kMethodsEvery;
      co_await tell_methods();
    }
    co_await closing_.wait(kLook);
  }
}

task<void> Collector::set_rate(NodeId node) {
  const std::uint32_t rate = per_million_;
  const auto told = co_await kObserver.on(node).within(kNodeLimit).call<&ObserverService::sample>(rate);
  if (told) watch(node)->rate = rate;
}

std::shared_ptr<Collector::Watched> Collector::watch(NodeId node) {
  std::shared_ptr<Watched>& place = watched_[node];
  if (place == nullptr) place = std::make_shared<Watched>();
  return place;
}

void Collector::forget_all_but(const std::vector<NodeId>& nodes) {
  const std::set<NodeId> kept(nodes.begin(), nodes.end());
  std::erase_if(watched_, [&kept](const auto& each) { return !kept.contains(each.first); });
  clocks_.keep(kept);
}

task<std::vector<NodeId>> Collector::gather() {
  const std::vector<NodeId> nodes = members();
  forget_all_but(nodes);
  note_time_of_day();
  const platform::Instant until = platform::Clock::now() + kNodeLimit;
  std::vector<task<bool>> works;
  for (const NodeId node : nodes) works.push_back(gather_from(node, until));
  const std::vector<bool> told = co_await when_all(std::move(works));
  std::vector<NodeId> silent;
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    if (!told[at]) silent.push_back(nodes[at]);
  }
  co_return silent;
}

task<void> Collector::part_from(NodeId node) {
  if (closing_.happened()) co_return;
  note_time_of_day();
  static_cast<void>(co_await gather_from(node, platform::Clock::now() + kNodeLimit));
}

void Collector::note_time_of_day() {
  for (std::size_t reading = 0; reading < ClockEstimate::kKept; ++reading) {
    const std::int64_t asked = clock_ns();
    const std::int64_t told = unix_ns();
    time_of_day_.add(asked, clock_ns(), told);
  }
}

task<bool> Collector::gather_from(NodeId node, platform::Instant until) {
  const std::shared_ptr<Watched> watched = watch(node);
  // Whoever reads now began earlier, and so ends before `until`.
  const Semaphore::Permit permit = co_await watched->reading.acquire();
  const bool clock_known = co_await clocks_.look(node, until);
  if (!clock_known) co_return false;
  const auto observer = kObserver.on(node).under(ending(until));
  for (int batches = 0; batches < kMostBatches; ++batches) {
    const auto batch = co_await observer.call<&ObserverService::spans>(ObserverService::kSpanBatch, watched->read);
    if (!batch || !take(node, *watched, *batch)) co_return false;
    if (!batch->more) co_return true;
  }
  co_return false;
}

/// malformed: a node that counts its cores or its spans wrong is believed nothing.
Result<void> Collector::take(NodeId node, Watched& watched, const detail::SpanBatch& batch) {
  if (batch.first.size() != batch.next.size() || batch.next.size() > kMaxCores) return Error(Errc::malformed, "no batch of spans");
  watched.read.resize(batch.next.size());
  const std::uint64_t most = kMostSpansAtStart + static_cast<std::uint64_t>((clock_ns() - begun_ns_) / kLeastNsOfSpan);
  std::uint64_t lost = 0;
  for (std::size_t core = 0; core < batch.next.size(); ++core) {
    const bool ascend = watched.read[core] <= batch.next[core] && batch.first[core] <= batch.next[core] && batch.next[core] <= most;
    if (!ascend) return Error(Errc::malformed, "spans that cannot be so many");
    if (batch.first[core] > watched.read[core]) lost += batch.first[core] - watched.read[core];
  }
  watched.read = batch.next;
  const std::int64_t to_unix = clocks_.offset_ns(node) - time_of_day_.offset(clock_ns());
  std::vector<service::SpanInfo> spans = read_spans(node, batch, to_unix);
  store_.note_dropped(lost + (batch.spans.size() - spans.size()));
  for (const service::SpanInfo& span : spans) store_.add(span);
  if (sink_ != nullptr && !spans.empty()) sink_->take(std::move(spans));
  return {};
}

task<void> Collector::tell_methods() {
  const std::vector<NodeId> nodes = members();
  const auto told = co_await methods_of(nodes);
  service::MethodSnapshot snapshot{begun_unix_ns_, unix_ns(), {}};
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    if (!told[at]) continue;
    for (service::MethodHistogram& method : read_methods(nodes[at], *told[at])) snapshot.methods.push_back(std::move(method));
  }
  sink_->take(std::move(snapshot));
}

task<void> Collector::finish() {
  closing_.happen();
  if (sink_ != nullptr) {
    auto both = when_all(gather(), tell_methods());
    static_cast<void>(co_await std::move(both));
  }
  // What is still under way here began before that, and ends with it.
  co_await scope_.join();
}

// --- what gRPC asks ---

Result<service::TraceList> Collector::traces(std::uint32_t limit) {
  return asker_.ask<service::TraceList>(
      kAnswerLimit, [this, limit](cluster::Answer<service::TraceList> answer) { return answer_traces(std::move(answer), limit); });
}

task<void> Collector::answer_traces(cluster::Answer<service::TraceList> answer, std::uint32_t limit) {
  std::vector<NodeId> silent = co_await gather();
  service::TraceList list = store_.list(limit);
  list.silent = std::move(silent);
  answer->set_value(std::move(list));
}

namespace {
/// Who may have had it.
std::string without(const std::vector<NodeId>& silent) {
  std::string text;
  for (const NodeId node : silent) text += (text.empty() ? "; did not answer: node " : ", node ") + std::to_string(to_number(node));
  return text;
}
}  // namespace

Result<service::Trace> Collector::trace(const std::string& id) {
  return asker_.ask<service::Trace>(
      kAnswerLimit, [this, id](cluster::Answer<service::Trace> answer) { return answer_trace(std::move(answer), id); });
}

task<void> Collector::answer_trace(cluster::Answer<service::Trace> answer, std::string id) {
  std::vector<NodeId> silent = co_await gather();
  Result<std::vector<service::SpanInfo>> spans = store_.find(id);
  if (spans) {
    answer->set_value(service::Trace{*std::move(spans), std::move(silent)});
  } else {
    answer->set_value(Error(spans.code(), spans.error().text() + without(silent)));
  }
}

Result<service::MethodList> Collector::methods() {
  return asker_.ask<service::MethodList>(
      kAnswerLimit, [this](cluster::Answer<service::MethodList> answer) { return answer_methods(std::move(answer)); });
}

task<void> Collector::answer_methods(cluster::Answer<service::MethodList> answer) {
  const std::vector<NodeId> nodes = members();
  const auto told = co_await methods_of(nodes);
  service::MethodList list;
  MethodMerge merge;
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    if (told[at]) {
      merge.add(*told[at]);
    } else {
      list.silent.push_back(nodes[at]);
    }
  }
  list.methods = merge.result();
  answer->set_value(std::move(list));
}

Result<void> Collector::sample(std::uint32_t per_million) {
  return asker_.ask<void>(kAnswerLimit,
                          [this, per_million](cluster::Answer<void> answer) { return answer_sample(std::move(answer), per_million); });
}

task<void> Collector::answer_sample(cluster::Answer<void> answer, std::uint32_t per_million) {
  per_million_ = per_million;
  std::vector<task<void>> works;
  for (const NodeId node : members()) works.push_back(set_rate(node));
  co_await when_all(std::move(works));
  answer->set_value(Result<void>());
}

}  // namespace ebb::frontend::observe
