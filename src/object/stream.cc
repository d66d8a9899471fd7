#include "ebb/object/stream.h"

#include <string>

#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {
namespace {

// A pull is answered within StreamService::kLongestWait unless something is wrong.
constexpr platform::Duration kPullTimeout = std::chrono::seconds(30);

Detached send_close(NodeId node, CoreIndex core, std::uint64_t handle) {
  // Whatever becomes of it: the other side closes what nobody asks for.
  const Result<void> sent = co_await kStreamService.on(node, core).send<&StreamService::close>(handle);
  static_cast<void>(sent);
}

Detached send_taking(NodeId node, CoreIndex core, std::uint64_t handle) {
  const Result<void> sent = co_await kStreamService.on(node, core).send<&StreamService::taking>(handle);
  static_cast<void>(sent);  // the next one may arrive
}

}  // namespace

// --- the giving end ---

StreamBatch StreamSource::take() {
  StreamBatch batch;
  batch.items = std::exchange(items, 0);
  bytes = 0;
  batch.bytes = std::move(writer).take();
  writer = wire::Writer();
  batch.ended = ended;
  if (ended && error) {
    batch.error = static_cast<std::uint16_t>(error->code());
    batch.error_text = error->text();
  }
  return batch;
}

StreamService::~StreamService() {
  if (timer_ != TimerId{}) Core::current().cancel(timer_);
  for (auto& [handle, source] : sources_) {
    source->closed = true;
    source->wake_producer();
    source->wake_pull();
  }
}

std::uint64_t StreamService::open(std::shared_ptr<StreamSource> source) {
  if (sources_.size() >= kMaxStreams) {
    throw ErrorException(Error(Errc::overloaded, std::to_string(kMaxStreams) + " streams of this core have not ended; "
                                                                              "take or drop some first"));
  }
  sources_.emplace(next_, std::move(source));
  depth_.set(sources_.size());
  if (timer_ == TimerId{}) schedule();
  return next_++;
}

task<Result<StreamBatch>> StreamService::pull(const call_context& context, std::uint64_t handle) {
  const auto found = sources_.find(handle);
  if (found == sources_.end()) {
    co_return Error(Errc::no_such_object, "the stream has ended, was closed, or nobody took items for too long");
  }
  const std::shared_ptr<StreamSource> source = found->second;
  if (std::exchange(source->pulled, true)) {
    co_return Error(Errc::invalid_argument, "two take items of one stream at a time");
  }
  source->consumer = context.caller;
  // One that this node has yet to hear of is not lost for that.
  source->consumer_known = is_member(context.caller);
  TimerId timer = Core::current().call_after(kLongestWait, [source, &timer] {
    timer = {};
    source->wake_pull();
  });
  const cancel_callback given_up(context.cancellation, [source] { source->wake_pull(); });
  StreamSource::Items items{*source};
  if (!context.cancellation.is_cancelled()) co_await items;  // or nothing would wake it
  Core::current().cancel(timer);
  source->pulled = false;
  source->last_heard = platform::Clock::now();
  if (source->closed) co_return Error(Errc::no_such_object, "the stream was closed");
  // Items stay where they are for a taker that has given up on this answer.
  if (context.cancellation.is_cancelled()) co_return Error(Errc::cancelled, "nobody waits for the items");
  StreamBatch batch = source->take();
  source->wake_producer();
  if (batch.ended) sources_.erase(handle);
  depth_.set(sources_.size());
  co_return batch;
}

void StreamService::taking(std::uint64_t handle) {
  if (const auto found = sources_.find(handle); found != sources_.end()) found->second->last_heard = platform::Clock::now();
}

void StreamService::close(std::uint64_t handle) {
  const auto found = sources_.find(handle);
  if (found == sources_.end()) return;
  const std::shared_ptr<StreamSource> source = std::move(found->second);
  sources_.erase(found);
  depth_.set(sources_.size());
  source->closed = true;
  source->wake_producer();
  source->wake_pull();
}

void StreamService::sweep(platform::Instant now) {
  std::vector<std::uint64_t> over;
  for (const auto& [handle, source] : sources_) {
    const bool idle = !source->pulled && now - source->last_heard > kIdleLimit;
    const bool lost = source->consumer_known && source->consumer != this_node() && !is_member(source->consumer);
    if (idle || lost) over.push_back(handle);
  }
  for (const std::uint64_t handle : over) close(handle);
}

void StreamService::schedule() {
  timer_ = Core::current().call_after(kSweep, [this] {
    timer_ = {};
    sweep(platform::Clock::now());
    if (!sources_.empty()) schedule();
  });
}

// --- the taking end ---

std::shared_ptr<StreamHandle> stream_from(NodeId node, CoreIndex core, std::uint64_t handle) {
  NodeTable::instance().enter(kStreamService.id(), kTypeDescriptor<StreamService>);
  return std::make_shared<StreamHandle>(std::make_shared<StreamReader>(node, core, handle));
}

std::shared_ptr<StreamHandle> open_stream(std::shared_ptr<StreamSource> source) {
  NodeTable::instance().enter(kStreamService.id(), kTypeDescriptor<StreamService>);
  const std::uint64_t handle = kStreamService->open(std::move(source));
  return stream_from(this_node(), Core::current().index(), handle);
}

void StreamReader::fetch() {
  fetched_.emplace();
  run_fetch(shared_from_this());
}

Detached StreamReader::run_fetch(std::shared_ptr<StreamReader> self) {
  const auto place = kStreamService.on(self->node_, self->core_).within(kPullTimeout).under(self->trace_);
  Result<StreamBatch> batch = co_await place.call<&StreamService::pull>(self->handle_);
  self->fetched_->complete(std::move(batch));
}

task<Result<bool>> StreamReader::ready() {
  const CoreIndex here = Core::current().index();
  CoreIndex taker = kAnyCore;
  // Relaxed: whoever handed the stream on did so by a message.
  if (!taker_.compare_exchange_strong(taker, here, std::memory_order_relaxed) && taker != here) {
    co_return Error(Errc::invalid_argument, "items of a stream are taken on one core; this one's are taken on core " +
                                                std::to_string(to_number(taker)));
  }
  while (left_ == 0) {
    if (ended_) {
      if (batch_.error == 0) co_return false;
      const std::uint16_t number = std::exchange(batch_.error, std::uint16_t{0});
      const bool known = number <= static_cast<std::uint16_t>(Errc::already_exists);
      const Errc code = known ? Errc{number} : Errc::internal;
      co_return Error(code, std::move(batch_.error_text));
    }
    if (!fetched_) fetch();
    Completion<Result<StreamBatch>>& coming = *fetched_;
    Result<StreamBatch> fetched = co_await coming;
    fetched_.reset();
    if (!fetched) {
      end();
      // It may well live, for who takes it now if it is not this one.
      if (fetched.code() != Errc::invalid_argument) send_close(node_, core_, handle_);
      co_return std::move(fetched).error();
    }
    batch_ = *std::move(fetched);
    items_.emplace(batch_.bytes);
    left_ = batch_.items;
    if (batch_.ended) {
      end();
    } else {
      fetch();
      begin_reports();
    }
  }
  co_return true;
}

void StreamReader::begin_reports() {
  if (next_report_ != TimerId{}) return;
  auto next = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->report();
  };
  try {
    next_report_ = Core::current().call_after(StreamService::kReport, std::move(next));
  } catch (const ErrorException&) {
    // This core has no timer left. The next batch may find one.
  }
}

void StreamReader::report() {
  next_report_ = {};
  if (reported_ != taken_) send_taking(node_, core_, handle_);
  reported_ = taken_;
  begin_reports();
}

void StreamReader::end() {
  ended_ = true;
  if (next_report_ != TimerId{}) Core::current().cancel(std::exchange(next_report_, TimerId{}));
}

Error StreamReader::broken() {
  left_ = 0;
  end();
  batch_.error = 0;
  send_close(node_, core_, handle_);
  return Error(Errc::malformed, "an item of a stream does not decode; start all nodes from the same build");
}

void StreamReader::drop() {
  const Core* core = Core::current_or_null();
  if (handed_over_ || ended_ || core == nullptr || core->stopping()) return;
  if (taker_.load(std::memory_order_relaxed) == core->index()) end();
  send_close(node_, core_, handle_);
}

}  // namespace ebb::detail
