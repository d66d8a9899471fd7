// Where a call by key goes: the instance that has it, on whatever core of whatever node.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/object/call_options.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "ebb/object/signature.h"
#include "ebb/object/target.h"
#include "ebb/object/type.h"
#include "ebb/wire/codec.h"

namespace ebb {

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
  static task<Result<Bytes>> serve(ObjectId id, void* representative, const RemoteMethod& method, Bytes arguments,
                                   ServedCaller caller);
  static void become_home(ObjectId id);

  /// Who has the partition, as this core knows it; asks the object's home if that is no newer than `stale`. A refusal: the home
  /// cannot say at the moment.
  struct Answer {
    PartitionOwner owner;
    std::uint64_t version = 0;
  };
  static task<Result<Answer>> find_owner(ObjectId id, const TypeDescriptor* type, std::uint32_t partition, std::uint64_t stale);

  /// The core of this node that has the partition as far as this core knows; kAnyCore if none has.
  static CoreIndex owner_here(ObjectId id, std::uint32_t partition) noexcept;

  /// This core's instance, for a call: counted as long as it lives. Throws ErrorException(moved), a refusal, if it is elsewhere.
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
/// had run. Made by ref::on_key.
template <class T>
class partition_target : public adjustable_target<partition_target<T>> {
 public:
  partition_target(ObjectId id, std::uint32_t partition) noexcept : id_(id), partition_(partition) {}

  std::uint32_t partition() const noexcept { return partition_; }  ///< of the key, below kPartitions

  /// Runs a method of the object's interface on the partition's instance. Errors: those of home_target::call.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    static_cast<void>(&detail::Registered<T>::entry);
    auto work = run<Member>(*this, Shape::store(std::forward<Arguments>(arguments)...));
    if (!options_.may_end_early()) return work;
    return detail::within_options(std::move(work), options_);
  }

  /// The same, but nobody waits for the answer: home_target::send.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments&&... arguments) const {
    return detail::send_unanswered(call<Member>(std::forward<Arguments>(arguments)...));
  }

 private:
  using adjustable_target<partition_target<T>>::options_;

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(partition_target self, Stored arguments) {
    using R = detail::MethodResult<Member>;
    static_assert(std::is_copy_constructible_v<Stored>, "calls by key may be made again, and need arguments that can be copied");
    if (Result<void> wanted = detail::still_wanted(self.options_); !wanted) co_return std::move(wanted).error();
    self.options_.begin();
    self.options_.begin_trace_if(false);  // once for all attempts
    const CoreIndex core = detail::Partitioning::owner_here(self.id_, self.partition_);
    if (core != kAnyCore) {
      // Nothing is encoded for an owner on this node, unless it turns out to be one no more.
      Result<R> answer = co_await on_its_core<Member>(&self, core, arguments);
      if (!detail::was_turned_away(answer)) co_return answer;
    }
    // The number last, where the receiver takes it off without moving the arguments.
    Result<Bytes> bytes = detail::encoded(arguments, self.partition_);
    if (!bytes) co_return std::move(bytes).error();
    detail::EncodedCall call{self.id_, detail::kMethodLabel<T, Member>, std::move(self.options_), *std::move(bytes)};
    Result<Bytes> answer = co_await detail::call_partition(&detail::kTypeDescriptor<T>, self.partition_, std::move(call));
    co_return detail::decoded<R>(std::move(answer), detail::kMethodLabel<T, Member>);
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> on_its_core(partition_target* self, CoreIndex core, Stored arguments) {
    detail::CallOptions& options = self->options_;
    options.begin_trace_if(core != Core::current().index() && detail::sampled_by_chance(self->id_));
    detail::OpenSpan span(options.trace);
    const detail::JoinedToken joined(options);
    detail::LocalOrigin origin{options.own_deadline(platform::Clock::now()), span.trace(), nullptr};
    std::optional<detail::CancelRelay> relay;
    if (detail::SignatureOf<Member>::kTakesContext && joined.token().can_be_cancelled()) {
      relay.emplace(joined.token(), core);
      origin.cancellation = relay->source();
    }
    auto work = [id = self->id_, partition = self->partition_, from = std::move(origin), moved = std::move(arguments)]() mutable {
      return run_here<Member>(id, partition, std::move(from), std::move(moved));
    };
    const ObjectId queued = core != Core::current().index() ? self->id_ : ObjectId();
    try {
      detail::CoreCall<decltype(work)> there(core, queued, std::move(work));
      Result<detail::MethodResult<Member>> answer = co_await there;
      span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, self->id_, this_node(), answer.code());
      co_return answer;
    } catch (const ErrorException& failed) {  // it could not even wait for its turn there
      span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, self->id_, this_node(), failed.error().code());
      co_return failed.error();
    }
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run_here(ObjectId id, std::uint32_t partition,
                                                             detail::LocalOrigin origin, Stored arguments) {
    detail::CallMeter meter(true, origin.trace);
    const detail::MeteredCall call(detail::kMethodLabel<T, Member>, id, origin.trace);
    std::exception_ptr thrown;
    bool begun = false;  // before that nothing ran, and it is no call of the method; what is thrown later is no refusal
    try {
      origin.require_turn();
      detail::require_lease();
      const detail::Partitioning::Use use(id, detail::kTypeDescriptor<T>, partition);
      T* instance = static_cast<T*>(use.instance());
      origin.trace = meter.trace();
      std::optional<detail::ServedContext> served;
      if constexpr (detail::SignatureOf<Member>::kTakesContext) served.emplace(id, origin.origin());
      auto invoke = [instance, &served](auto&... each) {
        return detail::invoke_method<Member>(served ? served->context() : detail::kNoContext, *instance, std::move(each)...);
      };
      using Return = typename detail::SignatureOf<Member>::return_type;
      std::optional<detail::CallUnderWay> under_way;
      std::optional<detail::CallOnStack> on_stack;
      if constexpr (detail::IsTask<Return>::value) {
        under_way.emplace(id);
      } else {
        on_stack.emplace(id);
      }
      begun = true;
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
        meter.end(call.label, id, call.caller, detail::settle(result));
        co_return std::move(result);
      } else {
        auto result = std::apply(invoke, arguments);
        detail::require_lease_still();
        meter.end(call.label, id, call.caller, detail::settle(result));
        co_return std::move(result);
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    Error error = detail::to_error(std::move(thrown));
    if (begun) {
      error = std::move(error).as_answer();
      meter.end(call.label, id, call.caller, error.code());
    }
    co_return error;
  }

  ObjectId id_;
  std::uint32_t partition_;
};

}  // namespace ebb
