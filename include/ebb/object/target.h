// Where a call goes: a core of this node.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_context.h"
#include "ebb/object/call_options.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/signature.h"
#include "ebb/object/type.h"
#include "ebb/observe/call_meter.h"
#include "ebb/platform/translation_table.h"

namespace ebb {

namespace detail {

/// What a call of `Member` gives: the value of its task or Result, if it returns one.
template <auto Member>
using MethodResult = typename SignatureOf<Member>::result;

/// The way of every call that finds no representative; out of line, so that a hit stays three instructions.
template <class T>
[[gnu::noinline, gnu::cold]] T& miss(ObjectId id) {
  static_cast<void>(&Registered<T>::entry);
  return *static_cast<T*>(NodeTable::instance().miss(id, kTypeDescriptor<T>));
}

/// A kind whose representatives are no T.
template <class T>
inline constexpr bool kSpreadByKey = requires { &policy_of<T>::template partition_of<T, int>; };

/// A kind whose references give constant access.
template <class T>
inline constexpr bool kReadOnlyHere = std::is_same_v<typename policy_of<T>::template pointer<T>, const T*>;

/// This core's representative: one load when it is there, else NodeTable::miss makes it (and throws what that throws).
template <class T>
[[gnu::always_inline]] inline T& representative(ObjectId id) {
  void* found = platform::translate(id);
  if (found == nullptr) [[unlikely]] return miss<T>(id);
  return *static_cast<T*>(found);
}

}  // namespace detail

/// The representative of an object on one core of this node; kAnyCore: the calling one.
template <class T>
class target : public adjustable_target<target<T>> {
 public:
  target(ObjectId id, CoreIndex core) noexcept : id_(id), core_(core) {}

  /// Runs a method of the object's interface there and brings its result back; arguments are copied as the method takes them,
  /// and views own what they look at until it has ended. At the calling core itself it is a plain call. Errors: not_found (no
  /// such core), what the miss throws (see NodeTable::miss), application_error with type and text if the method throws, overloaded
  /// (millions of calls wait for their turn there). Awaiting suspends the caller, not its core.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    static_cast<void>(T::interface::template method_id<Member>());
    static_assert(detail::SignatureOf<Member>::template must_take<Arguments...>());
    static_assert(!detail::kSpreadByKey<T>, "objects of this kind are many instances: say which, "
                                            "`object.on_key(key).call<&T::method>(...)`");
    static_assert(detail::SignatureOf<Member>::kConst || !detail::kReadOnlyHere<T>,
                  "representatives of this kind are only read where they are: change the object with "
                  "`object.call<&T::method>(...)`");
    const bool chance = core_ != kAnyCore && detail::sampled_by_chance(id_) && core_ != Core::current().index();
    if (this->options_.plain() && !chance) {
      return run<Member>(id_, core_, detail::LocalOrigin(), Kept<Member, Arguments...>(std::forward<Arguments>(arguments)...));
    }
    detail::CallOptions options = this->options_;
    options.not_after = options.own_deadline(platform::Clock::now());
    options.begin_trace_if(chance);
    return run_limited<Member>(id_, core_, std::move(options), Kept<Member, Arguments...>(std::forward<Arguments>(arguments)...));
  }

  /// The same without an answer: the value says that the call has been started, and what comes of it nobody hears. Errors:
  /// overloaded, when too many of this core are under way.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments&&... arguments) const {
    return detail::send_unanswered(call<Member>(std::forward<Arguments>(arguments)...));
  }

 private:
  /// Calls of these kinds are counted also where the core is the caller's own.
  static constexpr bool kHasOneInstance = detail::is_exclusive<policy_of<T>>() && !detail::is_cache<policy_of<T>>();

  template <auto Member, class... Arguments>
  using Kept = typename detail::SignatureOf<Member>::template kept<Arguments...>;

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run_limited(ObjectId id, CoreIndex core, detail::CallOptions options,
                                                                Stored arguments) {
    if (Result<void> wanted = detail::still_wanted(options); !wanted) co_return std::move(wanted).error();
    if (id >= kFirstApplicationObject) {
      if (Result<void> room = detail::room_to_give_up(); !room) co_return std::move(room).error();
    }
    detail::OpenSpan span(options.trace);
    const detail::JoinedToken joined(options);
    detail::LocalOrigin origin{options.not_after, span.trace(), nullptr};
    std::optional<detail::CancelRelay> relay;
    if (detail::SignatureOf<Member>::kTakesContext && joined.token().can_be_cancelled()) {
      relay.emplace(joined.token(), core == kAnyCore ? Core::current().index() : core);
      origin.cancellation = relay->source();
    }
    task<Result<detail::MethodResult<Member>>> work =
        run<Member>(id, core, std::move(origin), std::move(arguments));
    Result<detail::MethodResult<Member>> outcome =
        co_await detail::until(std::move(work), options.not_after, joined.token());
    span.end(detail::SpanKind::client, detail::kMethodLabel<T, Member>, id, this_node(), outcome.code());
    co_return outcome;
  }

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(ObjectId id, CoreIndex core, detail::LocalOrigin origin,
                                                        Stored arguments) {
    std::exception_ptr thrown;
    try {
      const CoreIndex here = Core::current().index();
      if (core == kAnyCore) core = here;
      if (to_number(core) >= Core::count()) {
        co_return Error(Errc::not_found, "this node has " + std::to_string(Core::count()) + " cores, and no core " +
                                             std::to_string(to_number(core)));
      }
      const bool counted = core != here || kHasOneInstance;
      const ObjectId queued = core != here ? id : ObjectId();  // what this core's own tasks do here takes their turns
      auto work = [id, counted, origin = std::move(origin), packed = std::move(arguments)]() mutable {
        origin.require_turn();
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease();
        detail::CallMeter meter(counted, origin.trace);
        origin.trace = meter.trace();
        const detail::MeteredCall call(detail::kMethodLabel<T, Member>, id, origin.trace);
        T& object = detail::representative<T>(id);
        using Return = typename detail::SignatureOf<Member>::return_type;
        if constexpr (detail::IsTask<Return>::value) {
          if constexpr (detail::SignatureOf<Member>::kTakesContext) {
            using Value = typename Return::value_type;
            return detail::measured(call, meter, detail::run_in_context<Member, Value>(id, &object, origin, &packed));
          } else {
            auto invoke = [&object](auto&... each) { return std::invoke(Member, object, std::move(each)...); };
            return detail::measured(call, meter, detail::begun(call, meter, [&] { return std::apply(invoke, packed); }));
          }
        } else if constexpr (detail::SignatureOf<Member>::kTakesContext) {
          const detail::ServedContext served(id, origin.origin());
          auto invoke = [&object, &served](auto&... each) -> Return {
            return detail::invoke_method<Member>(served.context(), object, std::move(each)...);
          };
          return detail::measured(call, meter, [&]() -> Return { return std::apply(invoke, packed); });
        } else {
          auto invoke = [&object](auto&... each) -> Return { return std::invoke(Member, object, std::move(each)...); };
          return detail::measured(call, meter, [&]() -> Return { return std::apply(invoke, packed); });
        }
      };
      detail::CoreCall<decltype(work)> there(core, queued, std::move(work));
      if constexpr (std::is_void_v<detail::OnCoreResult<decltype(work)>>) {
        co_await there;
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease_still();
        co_return Result<void>();
      } else {
        auto result = co_await there;
        if constexpr (detail::is_exclusive<policy_of<T>>()) detail::require_lease_still();
        co_return std::move(result);
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    co_return detail::to_error(std::move(thrown));
  }

  ObjectId id_;
  CoreIndex core_;
};

}  // namespace ebb
