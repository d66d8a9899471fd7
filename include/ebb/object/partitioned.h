// Objects whose state is spread over the cluster by key.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/hash.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/home.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "ebb/object/signature.h"
#include "ebb/object/type.h"
#include "ebb/wire/codec.h"

namespace ebb {

/// What a partition is told that is made anew because its owner is gone: on_lost(partition_lost) of its type, if there is
/// one, before any call reaches it. What it held is lost.
struct partition_lost {
  ObjectId object;
  std::uint32_t partition = 0;
};

namespace detail {

/// Makes and ends one partition's instance, and moves its state.
struct PartitionType {
  void* (*make)(ObjectId id, std::uint32_t partition, bool lost);
  void (*end)(void* instance);
  std::uint32_t count;
};

/// The core that has a partition now.
struct PartitionOwner {
  NodeId node = kNoNode;
  CoreIndex core{};
  friend bool operator==(const PartitionOwner&, const PartitionOwner&) = default;
};

/// The parts that the policy below is made of, with the type erased (src/object/partition*.cc).
struct Partitioning {
  static void* make_root(ObjectId id, const PartitionType& type);
  static void end_root(void* root);
  /// What stands in the slot: the partitions of this core.
  static void* join(void* root);
  static void leave(void* root);
  static task<Result<Bytes>> serve(ObjectId id, void* representative, const RemoteMethod& method, Bytes arguments);
  static void become_home(ObjectId id);

  /// Who has the partition, as this core knows it; asks the object's home if that is no newer than `stale`.
  struct Answer {
    PartitionOwner owner;
    std::uint64_t version = 0;
  };
  static task<Result<Answer>> find_owner(ObjectId id, const TypeDescriptor* type, std::uint32_t partition, std::uint64_t stale);

  /// This core's instance, for a call: counted as long as it lives. Throws ErrorException(moved) if it is elsewhere.
  class Use {
   public:
    Use(ObjectId id, const TypeDescriptor& type, std::uint32_t partition);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    void* instance() const noexcept;

   private:
    void* held_;
  };
};

}  // namespace detail

/// One partition of an object, wherever it is. A call that finds that it has moved asks where to, and goes there: nothing
/// had run.
template <class T>
class partition_target {
 public:
  partition_target(ObjectId id, std::uint32_t partition, platform::Duration timeout) noexcept
      : id_(id), partition_(partition), timeout_(timeout) {}

  /// The same, for callers that wait no longer than `timeout` in all.
  partition_target within(platform::Duration timeout) const noexcept {
    partition_target result = *this;
    result.timeout_ = timeout;
    return result;
  }
  /// The same as part of another call: its deadline and its trace hold for this one too, its cancellation between attempts.
  partition_target under(const call_context& context) const {
    partition_target result = *this;
    result.options_.inherit(context);
    return result;
  }
  /// The same as part of a trace: a child of the span that `parent` names, such as an ebb::span.
  partition_target under(const TraceContext& parent) const {
    partition_target result = *this;
    result.options_.inherit(parent);
    return result;
  }
  /// The same; a call that belongs to no trace begins one, which is recorded.
  partition_target traced() const {
    partition_target result = *this;
    result.options_.traced = true;
    return result;
  }
  std::uint32_t partition() const noexcept { return partition_; }

  /// Runs a method of the object's interface on the partition's instance. Errors: those of home_target::call.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    static_cast<void>(&detail::Registered<T>::entry);
    return run<Member>(*this, typename Shape::stored(std::forward<Arguments>(arguments)...));
  }

 private:
  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(partition_target self, Stored arguments) {
    using R = detail::MethodResult<Member>;
    if (Result<void> wanted = detail::still_wanted(self.options_); !wanted) co_return std::move(wanted).error();
    const platform::Instant deadline = std::min(self.options_.not_after, platform::Clock::now() + self.timeout_);
    const detail::TypeDescriptor* type = &detail::kTypeDescriptor<T>;
    self.options_.begin_trace_if(false);  // once for all attempts
    std::uint64_t stale = 0;
    for (int attempt = 0;; ++attempt) {
      const auto owner = co_await detail::Partitioning::find_owner(self.id_, type, self.partition_, stale);
      if (!owner && owner.code() != Errc::moved && owner.code() != Errc::node_gone) co_return owner.error();
      if (owner && is_member(owner->owner.node)) {
        const platform::Duration left = deadline - platform::Clock::now();
        if (left <= platform::Duration::zero()) break;
        const bool leaves = owner->owner.node != this_node() || owner->owner.core != Core::current().index();
        self.options_.begin_trace_if(leaves && detail::sampled_by_chance(self.id_));
        detail::OpenSpan span(self.options_.trace);
        Result<R> answer = co_await attempt_at<Member>(self.id_, self.partition_, owner->owner, left, span.trace(), arguments);
        span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, self.id_, owner->owner.node, answer.code());
        if (answer.code() != Errc::moved) co_return answer;
      }
      if (owner) {
        const bool news = owner->version > stale;
        stale = owner->version;
        if (attempt == 0 && news) continue;
      }
      if (!co_await detail::pause_before_retry(attempt, deadline)) break;
      if (self.options_.cancelled()) co_return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
    }
    co_return Error(Errc::deadline_exceeded, "partition " + std::to_string(self.partition_) + " of object " +
                                                 std::to_string(self.id_.index()) + " could not be reached in time; nothing ran");
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> attempt_at(ObjectId id, std::uint32_t partition,
                                                               detail::PartitionOwner owner, platform::Duration left,
                                                               TraceContext trace, Stored arguments) {
    using R = detail::MethodResult<Member>;
    if (owner.node == this_node()) {
      // Named: gcc 12 destroys the captures of a temporary in a co_await expression twice (bug 99576).
      auto work = [id, partition, trace, moved = std::move(arguments)]() mutable {
        return run_here<Member>(id, partition, trace, std::move(moved));
      };
      co_return co_await on_core(owner.core, std::move(work));
    }
    wire::Writer writer;
    writer.number(partition);
    if constexpr (std::tuple_size_v<Stored> != 0) wire::Codec<Stored>::write(writer, arguments);
    detail::RemoteCall call{owner.node, owner.core, id, T::interface::template method_id<Member>(), left, {}, trace};
    auto answer = co_await detail::call_elsewhere(std::move(call), std::move(writer).take());
    if (!answer) co_return detail::with_method(std::move(answer).error(), owner.node, detail::kMethodLabel<T, Member>);
    if constexpr (std::is_void_v<R>) {
      if (answer->empty()) co_return Result<void>();
    } else {
      if (auto value = wire::decode<R>(*answer)) co_return *std::move(value);
    }
    co_return Error(Errc::malformed, "the answer of node " + std::to_string(to_number(owner.node)) +
                                         " does not decode; start all nodes from the same build");
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run_here(ObjectId id, std::uint32_t partition, TraceContext trace,
                                                             Stored arguments) {
    detail::CallMeter meter(true, trace);
    const detail::MeteredCall call(detail::kMethodLabel<T, Member>, id, trace);
    std::exception_ptr thrown;
    try {
      detail::require_lease();
      const detail::Partitioning::Use use(id, detail::kTypeDescriptor<T>, partition);
      T* instance = static_cast<T*>(use.instance());
      call_context context = detail::kNoContext;
      context.trace = meter.trace();
      context.caller = this_node();
      auto invoke = [instance, &context](auto&... each) {
        return detail::invoke_method<Member>(context, *instance, std::move(each)...);
      };
      using Return = typename detail::SignatureOf<Member>::return_type;
      if constexpr (std::is_void_v<Return>) {
        std::apply(invoke, arguments);
        detail::require_lease_still();
        meter.end(call.label, id, call.caller, Errc::ok);
        co_return Result<void>();
      } else if constexpr (std::is_same_v<Return, task<void>>) {
        co_await std::apply(invoke, arguments);
        detail::require_lease_still();
        meter.end(call.label, id, call.caller, Errc::ok);
        co_return Result<void>();
      } else if constexpr (detail::IsTask<Return>::value) {
        auto result = co_await std::apply(invoke, arguments);
        detail::require_lease_still();
        meter.end(call.label, id, call.caller, detail::status_of(result));
        co_return std::move(result);
      } else {
        auto result = std::apply(invoke, arguments);
        detail::require_lease_still();
        meter.end(call.label, id, call.caller, detail::status_of(result));
        co_return std::move(result);
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    Error error = detail::to_error(std::move(thrown));
    meter.end(call.label, id, call.caller, error.code());
    co_return error;
  }

  ObjectId id_;
  std::uint32_t partition_;
  platform::Duration timeout_;
  detail::CallOptions options_;
};

/// Many instances, each the owner of a share of the keys, spread over all cores of all backends by rendezvous hashing (of a
/// cluster without backends, over the front end's). `object.on_key(key).call<&T::method>(...)` goes to the instance that has
/// `key`, which the method usually takes too. A partition's calls run on one core, so it needs no lock.
///
/// When nodes come and go the partitions whose owner changes move, and no others: calls that meet one on its way wait. Its
/// state travels by save() and restore(), which the type must have (saves_state). What a node that is gone had is lost, and
/// its partitions begin anew elsewhere (partition_lost). The object's home decides who has what; when its node is gone,
/// another home asks all members what they have.
///
/// A type may say how many partitions there are: `static constexpr std::uint32_t kPartitions`, default 256, at most 4,096.
struct partitioned {
  static constexpr std::string_view name = "partitioned";
  static constexpr std::uint32_t kMaxPartitions = 4096;
  static constexpr bool kExclusive = true;
  static constexpr bool kRemade = true;
  template <class T>
  using pointer = void;
  template <class T>
  static constexpr std::uint32_t count() noexcept {
    if constexpr (requires { T::kPartitions; }) return T::kPartitions;
    return 256;
  }
  /// The partition of a key: by its bytes on the wire, so that all programs agree.
  template <class T, wire::travels Key>
  static std::uint32_t partition_of(const Key& key) {
    const Bytes bytes = wire::encode(key);
    return static_cast<std::uint32_t>(fnv1a({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) % count<T>());
  }
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ObjectId id) {
    static_assert(saves_state<T>, "a partitioned object needs `auto save() const`, which gives a partition's state as a value "
                                  "that travels, and `void restore(value)`");
    static_assert(!detail::has_root<T>, "a partitioned object has no root of its own: its partitions share nothing");
    static_assert(count<T>() > 0 && count<T>() <= kMaxPartitions, "a partitioned object has 1 to 4,096 partitions");
    static constexpr detail::PartitionType kType{&make<T>, [](void* instance) { delete static_cast<T*>(instance); },
                                                 count<T>()};
    return detail::Partitioning::make_root(id, kType);
  }
  template <class T>
  static void end_root(void* root) {
    detail::Partitioning::end_root(root);
  }
  template <class T>
  static void* on_miss(ObjectId, void* root) {
    return detail::Partitioning::join(root);
  }
  template <class T>
  static void end_representative(void*, void* root) {
    detail::Partitioning::leave(root);
  }
  static task<Result<Bytes>> serve(ObjectId id, void* representative, const detail::RemoteMethod& method, Bytes arguments) {
    return detail::Partitioning::serve(id, representative, method, std::move(arguments));
  }
  static void become_home(ObjectId id) { detail::Partitioning::become_home(id); }

 private:
  template <class T>
  static void* make(ObjectId id, std::uint32_t partition, bool lost) {
    auto instance = std::make_unique<T>();
    if constexpr (requires { instance->on_lost(partition_lost{}); }) {
      if (lost) instance->on_lost(partition_lost{id, partition});
    }
    static_cast<void>(id), static_cast<void>(partition), static_cast<void>(lost);
    return instance.release();
  }
};

}  // namespace ebb
