// Where a call by key goes: the instance that has it, on whatever core of whatever node.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
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
/// had run. Made by ref::on_key.
template <class T>
class partition_target : public adjustable_target<partition_target<T>> {
 public:
  partition_target(ObjectId id, std::uint32_t partition) noexcept : id_(id), partition_(partition) {}

  std::uint32_t partition() const noexcept { return partition_; }

  /// Runs a method of the object's interface on the partition's instance. Errors: those of home_target::call.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    static_cast<void>(&detail::Registered<T>::entry);
    auto work = run<Member>(*this, typename Shape::stored(std::forward<Arguments>(arguments)...));
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
    if (Result<void> wanted = detail::still_wanted(self.options_); !wanted) co_return std::move(wanted).error();
    const platform::Instant begun = platform::Clock::now();
    const platform::Instant deadline = self.options_.deadline(begun);
    const platform::Instant own_deadline = self.options_.own_deadline(begun);
    const detail::JoinedToken joined(self.options_);
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
        const bool is_here = owner->owner.node == this_node();
        detail::LocalOrigin origin{own_deadline, span.trace(), nullptr};
        std::optional<detail::CancelRelay> relay;
        if (detail::SignatureOf<Member>::kTakesContext && is_here && joined.token().can_be_cancelled()) {
          relay.emplace(joined.token(), owner->owner.core);
          origin.cancellation = relay->source();
        }
        detail::RemoteCall there{owner->owner.node,  owner->owner.core, self.id_, T::interface::template method_id<Member>(), left,
                                 joined.token(), span.trace()};
        task<Result<R>> work = is_here ? on_its_core<Member>(self, owner->owner.core, std::move(origin), arguments)
                                       : on_its_node<Member>(std::move(there), self.partition_, arguments);
        Result<R> answer = co_await std::move(work);
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
  static task<Result<detail::MethodResult<Member>>> on_its_core(const partition_target& self, CoreIndex core,
                                                                detail::LocalOrigin origin, const Stored& arguments) {
    auto work = [id = self.id_, partition = self.partition_, from = std::move(origin), copy = arguments]() mutable {
      return run_here<Member>(id, partition, std::move(from), std::move(copy));
    };
    return on_core(core, std::move(work));
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> on_its_node(detail::RemoteCall call, std::uint32_t partition,
                                                                Stored arguments) {
    using R = detail::MethodResult<Member>;
    wire::Writer writer;
    if constexpr (std::tuple_size_v<Stored> != 0) wire::Codec<Stored>::write(writer, arguments);
    writer.number(partition);  // last, where the receiver takes it off without moving the arguments
    const NodeId node = call.node;
    auto answer = co_await detail::call_elsewhere(std::move(call), std::move(writer).take());
    if (!answer) co_return detail::with_method(std::move(answer).error(), node, detail::kMethodLabel<T, Member>);
    if constexpr (std::is_void_v<R>) {
      if (answer->empty()) co_return Result<void>();
    } else {
      if (auto value = wire::decode<R>(*answer)) co_return *std::move(value);
    }
    co_return Error(Errc::malformed, "the answer of node " + std::to_string(to_number(node)) +
                                         " does not decode; start all nodes from the same build");
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run_here(ObjectId id, std::uint32_t partition,
                                                             detail::LocalOrigin origin, Stored arguments) {
    detail::CallMeter meter(true, origin.trace);
    const detail::MeteredCall call(detail::kMethodLabel<T, Member>, id, origin.trace);
    std::exception_ptr thrown;
    bool begun = false;  // before that nothing ran, and it is no call of the method
    try {
      detail::require_lease();
      const detail::Partitioning::Use use(id, detail::kTypeDescriptor<T>, partition);
      T* instance = static_cast<T*>(use.instance());
      begun = true;
      origin.trace = meter.trace();
      std::optional<detail::ServedContext> served;
      if constexpr (detail::SignatureOf<Member>::kTakesContext) served.emplace(id, origin.origin());
      auto invoke = [instance, &served](auto&... each) {
        return detail::invoke_method<Member>(served ? served->context() : detail::kNoContext, *instance, std::move(each)...);
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
    if (begun) meter.end(call.label, id, call.caller, error.code());
    co_return error;
  }

  ObjectId id_;
  std::uint32_t partition_;
};

}  // namespace ebb
