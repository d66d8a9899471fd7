// ebb::stream: values that come one after the other, from wherever they are made, no faster than they are taken.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/generator.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/object/stream_source.h"
#include "ebb/wire/codec.h"

namespace ebb {

namespace detail {

/// The taking end. Used on one core once items are taken; on others that is an error then.
class StreamReader : public std::enable_shared_from_this<StreamReader> {
 public:
  StreamReader(NodeId node, CoreIndex core, std::uint64_t handle) noexcept : node_(node), core_(core), handle_(handle) {}

  /// Waits until there is an item, or it has ended; the error it ended with, once.
  task<Result<bool>> ready();
  wire::Reader& items() noexcept { return *items_; }
  void took_one() noexcept {
    --left_;
    ++taken_;
  }
  /// The bytes of an item do not decode.
  Error broken();

  /// What the pulls that are made from now on are part of.
  void set_trace(const TraceContext& trace) noexcept { trace_ = trace; }
  bool started() const noexcept { return taker_.load(std::memory_order_relaxed) != kAnyCore; }
  /// It travels to another place, and is nothing to this one any more.
  void hand_over() noexcept { handed_over_ = true; }
  /// Nobody takes any more: the maker hears of it, unless it is at its end or travels on.
  void drop();
  NodeId node() const noexcept { return node_; }
  CoreIndex core() const noexcept { return core_; }
  std::uint64_t handle() const noexcept { return handle_; }

 private:
  void fetch();
  static Detached run_fetch(std::shared_ptr<StreamReader> self);
  /// Now and then tells the maker of the items that they are being taken: while those that are here last it is asked for none.
  void begin_reports();
  void report();
  void end();

  NodeId node_;
  CoreIndex core_;
  std::uint64_t handle_;
  TraceContext trace_;
  std::atomic<CoreIndex> taker_{kAnyCore};  // the core that takes the items, once one does
  bool handed_over_ = false;
  bool ended_ = false;
  StreamBatch batch_;
  std::optional<wire::Reader> items_;  // of batch_
  std::uint32_t left_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t reported_ = 0;         // of taken_
  TimerId next_report_;                // on the core that takes the items
  std::optional<Completion<Result<StreamBatch>>> fetched_;  // of the pull under way
};

/// Shared by the copies of a stream; the last one closes it.
struct StreamHandle {
  explicit StreamHandle(std::shared_ptr<StreamReader> from) noexcept : reader(std::move(from)) {}
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;
  ~StreamHandle() { reader->drop(); }
  std::shared_ptr<StreamReader> reader;
};

/// Opens a stream on this core.
std::shared_ptr<StreamHandle> open_stream(std::shared_ptr<StreamSource> source);
/// The taking end of one that `node` opened.
std::shared_ptr<StreamHandle> stream_from(NodeId node, CoreIndex core, std::uint64_t handle);

}  // namespace detail

/// A method may return one, and take one: `ebb::stream<std::int64_t> numbers(std::int64_t n) { return count_to(n); }`, where
/// count_to is a generator. Items are made where the generator was, in batches of 256 or 64 KiB: one batch is made, one is on its
/// way or here, and the generator waits until more is asked for. That is the flow control: a slow taker slows the maker, and
/// neither holds more than two batches.
///
/// Copies are the same stream. It is taken on one core, by one coroutine at a time; so it travels to one place: the first of
/// several methods that got it and lets it go ends it for all. When the last copy goes, the generator ends at its next
/// co_yield; so it does when the taker's node is lost, or takes nothing for five minutes. The generator may outlive the call
/// that made it: it must not use what ends before (of its object it may use what destroy() of the object, which does not wait
/// for streams, leaves).
template <class T>
class stream {
 public:
  using value_type = T;

  /// Ends at once.
  stream() noexcept = default;
  /// Only on a core. Throws ErrorException(overloaded) when the core has too many streams.
  stream(generator<T> items) {  // NOLINT: implicit on purpose
    auto source = std::make_shared<detail::StreamSource>();
    handle_ = detail::open_stream(source);
    detail::fill<T>(std::move(source), std::move(items));
  }

  /// The next item; nothing once it has ended. Errors, after which it has ended: what the generator threw
  /// (application_error), node_gone, no_such_object (it was closed, or taken by someone else), malformed, and those of a call
  /// that asks where they are made for more: deadline_exceeded, overloaded, too_large (an item from another node).
  /// invalid_argument: its items are being taken on another core; there it goes on.
  task<Result<std::optional<T>>> next() { return take(handle_); }

  /// The same stream, whose items are asked for as part of a trace from now on: `numbers.under(context.trace)`.
  stream& under(const TraceContext& parent) noexcept {
    if (handle_) handle_->reader->set_trace(parent);
    return *this;
  }

 private:
  friend wire::Codec<stream<T>>;
  static task<Result<std::optional<T>>> take(std::shared_ptr<detail::StreamHandle> handle) {
    if (!handle) co_return std::optional<T>();
    detail::StreamReader& reader = *handle->reader;
    const Result<bool> ready = co_await reader.ready();
    if (!ready) co_return ready.error();
    if (!*ready) co_return std::optional<T>();
    T item = wire::Codec<T>::read(reader.items());
    if (reader.items().failed()) co_return reader.broken();
    reader.took_one();
    co_return std::optional<T>(std::move(item));
  }

  std::shared_ptr<detail::StreamHandle> handle_;
};

template <class T>
inline constexpr bool detail::kContentsTravel<stream<T>> = wire::travels<T>;

/// A stream travels as the place where its items are made.
template <class T>
struct wire::Codec<stream<T>> {
  static constexpr std::size_t kLeastBytes = 14;
  static constexpr std::uint64_t name(std::uint64_t hash) noexcept { return wire::add_names<T>("stream", hash); }
  static void write(wire::Writer& writer, const stream<T>& value) {
    ebb::detail::StreamReader* reader = value.handle_ ? value.handle_->reader.get() : nullptr;
    if (reader != nullptr && reader->started()) {
      throw ErrorException(Error(Errc::invalid_argument, "a stream of which items were taken cannot travel"));
    }
    writer.number(reader == nullptr ? to_number(kNoNode) : to_number(reader->node()));
    writer.number(reader == nullptr ? to_number(kAnyCore) : to_number(reader->core()));
    writer.number(reader == nullptr ? std::uint64_t{0} : reader->handle());
    if (reader != nullptr) reader->hand_over();
  }
  static stream<T> read(wire::Reader& reader) {
    const NodeId node{reader.number<std::uint32_t>()};
    const CoreIndex core{reader.number<std::uint16_t>()};
    const auto handle = reader.number<std::uint64_t>();
    stream<T> result;
    if (handle == 0 || reader.failed()) return result;
    constexpr std::size_t kShared = 2 * sizeof(void*);  // what a shared_ptr keeps beside its object
    constexpr std::size_t kMemory = sizeof(ebb::detail::StreamReader) + sizeof(ebb::detail::StreamHandle) + 2 * kShared;
    if (reader.take_memory(kMemory)) result.handle_ = ebb::detail::stream_from(node, core, handle);
    return result;
  }
};

}  // namespace ebb
