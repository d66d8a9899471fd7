// The giving end of a stream: what its items are made by, and the service that hands them out.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/generator.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/queue_depth.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/object/node_link.h"
#include "ebb/object/ref.h"
#include "ebb/wire/codec.h"

namespace ebb::detail {

/// Some items, as they travel.
struct StreamBatch {
  std::uint32_t items = 0;
  bool ended = false;         ///< nothing follows
  std::uint16_t error = 0;    ///< an Errc: why, if not in order; after the items
  std::string error_text;
  std::vector<std::byte> bytes;
};

/// One stream on the core that makes its items. Kept by the service and by the coroutine that fills it.
struct StreamSource {
  /// A batch is full with so many items, or so many bytes and one item more.
  static constexpr std::uint32_t kMaxItems = 256;
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 10;

  wire::Writer writer;
  std::uint32_t items = 0;
  std::size_t bytes = 0;
  bool ended = false;
  bool closed = false;  // nobody wants more
  bool pulled = false;  // a pull waits for items
  std::optional<Error> error;
  NodeId consumer = kNoNode;
  bool consumer_known = false;  // it was a member at its last pull
  platform::Instant last_heard = platform::Clock::now();  // of whoever takes the items
  std::coroutine_handle<> waiting_pull = nullptr;
  std::coroutine_handle<> waiting_producer = nullptr;

  /// What an answer carries, beside what belongs to a batch.
  static constexpr std::size_t kMostBytes = kMaxCallBytes - 1024;

  bool full() const noexcept { return items >= kMaxItems || bytes >= kMaxBytes; }
  void wake_pull() {
    if (waiting_pull) Core::current().resume_soon(std::exchange(waiting_pull, nullptr));
  }
  void wake_producer() {
    if (waiting_producer) Core::current().resume_soon(std::exchange(waiting_producer, nullptr));
  }
  StreamBatch take();

  struct Room {
    StreamSource& source;
    std::size_t bytes;  // of the next item
    bool await_ready() const noexcept {
      return source.closed || source.items == 0 || (!source.full() && source.bytes + bytes <= kMostBytes);
    }
    void await_suspend(std::coroutine_handle<> producer) const noexcept { source.waiting_producer = producer; }
    void await_resume() const noexcept {}
  };
  struct Items {
    StreamSource& source;
    bool await_ready() const noexcept { return source.items != 0 || source.ended || source.closed; }
    void await_suspend(std::coroutine_handle<> pull) const noexcept { source.waiting_pull = pull; }
    void await_resume() const noexcept {}
  };
};

/// Runs the generator, at most one full batch ahead of who takes it.
template <class T>
Detached fill(std::shared_ptr<StreamSource> source, generator<T> items) {
  generator<T> running = std::move(items);
  std::exception_ptr thrown;
  try {
    while (!source->closed) {
      std::optional<T> item = co_await running.next();
      if (!item) break;
      wire::Writer one;
      wire::Codec<T>::write(one, *item);
      const Bytes bytes = std::move(one).take();
      // A large one does not go with small ones before it that would make the batch too large for an answer.
      StreamSource::Room for_this{*source, bytes.size()};
      co_await for_this;
      if (source->closed) break;
      source->writer.raw(bytes.data(), bytes.size());
      source->bytes += bytes.size();
      ++source->items;
      source->wake_pull();
      StreamSource::Room for_next{*source, 0};
      co_await for_next;
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown) source->error = to_error(std::move(thrown));
  source->ended = true;
  source->wake_pull();
}

/// Hands out the items of a core's streams. Known on every node under a fixed id.
class StreamService {
 public:
  /// Streams of one core that have not ended; opening one more throws ErrorException(overloaded).
  static constexpr std::size_t kMaxStreams = 4096;
  /// How often whoever takes items that have arrived already says so.
  static constexpr platform::Duration kReport = std::chrono::minutes(1);
  /// One is closed of which nobody has said for so long that items are asked for, or are being taken: for five minutes none was.
  static constexpr platform::Duration kIdleLimit = std::chrono::minutes(5) + kReport;
  /// A pull that finds nothing is answered without items after so long.
  static constexpr platform::Duration kLongestWait = std::chrono::seconds(10);
  static constexpr platform::Duration kSweep = std::chrono::seconds(1);

  StreamService() = default;
  StreamService(const StreamService&) = delete;
  StreamService& operator=(const StreamService&) = delete;
  ~StreamService();

  std::uint64_t open(std::shared_ptr<StreamSource> source);
  std::size_t open_streams() const noexcept { return sources_.size(); }

  /// The next items, at least one unless the stream has ended or none came for kLongestWait. Errors: no_such_object (it has
  /// ended, was closed, or nobody asked for too long); invalid_argument (it is being asked already).
  task<Result<StreamBatch>> pull(const call_context& context, std::uint64_t handle);
  /// Items that were handed out are being taken.
  void taking(std::uint64_t handle);
  void close(std::uint64_t handle);
  using interface = ebb::interface<"ebb.Stream/1", method<"pull", &StreamService::pull>, method<"taking", &StreamService::taking>,
                                   method<"close", &StreamService::close>>;

  /// For tests: closes what has been idle at `now`.
  void sweep(platform::Instant now);

 private:
  void schedule();

  std::unordered_map<std::uint64_t, std::shared_ptr<StreamSource>> sources_;
  QueueDepth depth_{Bounded::streams, Core::current().index(), kMaxStreams};
  std::uint64_t next_ = 1;
  TimerId timer_;
};
inline constexpr auto kStreamService = ref<StreamService>::unchecked(kFirstBulkObject);

}  // namespace ebb::detail
