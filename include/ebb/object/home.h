// Objects that live in one place: a single instance on its home, one core of one node, and calls that find it there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/directory.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/signature.h"
#include "ebb/object/target.h"
#include "ebb/object/type.h"

namespace ebb {

template <class T>
class ref;

namespace detail {

/// The home of `id` as this node knows it, asking the directory if it does not, or if what it knows is no newer than
/// `stale`. Errors: no_such_object, interface_mismatch (it is no `type`), those of a call to the directory.
task<Result<Home>> find_home(ObjectId id, const TypeDescriptor* type, std::uint32_t stale);

/// In a miss: that this core is the home of `id`, by the directory's word. Throws ErrorException(moved), a refusal, if it is
/// not, or is about to be no longer. Returns the home's epoch. Blocks the event.
std::uint32_t require_home(ObjectId id, const TypeDescriptor& type);

/// Gives `instance`, which is to be the home of `epoch`, the state that a living home has handed over to this node, or that it
/// was dropped with; false if there is none. Throws ErrorException (see restore_state): then the state stays for the next one.
bool restore_home(ObjectId id, std::uint32_t epoch, const TypeDescriptor& type, void* instance);
/// Whether this node's instance is on its way to another home.
bool is_given_away(ObjectId id);
/// The object has ended on this node: so does what is on its way from here, and what came here for it.
task<void> forget_moves(ObjectId id);

task<Result<void>> migrate(ObjectId id, const TypeDescriptor* type, NodeId node, CoreIndex core);

/// The core of this node that is the home of `id` as far as this node knows; kAnyCore if none is.
CoreIndex home_here(ObjectId id) noexcept;

}  // namespace detail

/// What a re-made instance is told: on_lost(home_lost) of its type, if there is one, before any call reaches it. It may be a
/// coroutine (task<void>) that waits, for other objects too, but not for its own. What it throws ends the access that made the
/// instance, and the next one tries again.
struct home_lost {
  ObjectId object;
  std::uint32_t epoch = 0;  ///< of the new home, from 2
};

/// The one instance of an object, wherever it lives. A call that finds that it has moved asks where to, and goes there:
/// nothing had run. Made by ref::call and ref::on_home.
template <class T>
class home_target : public adjustable_target<home_target<T>> {
 public:
  explicit home_target(ObjectId id) noexcept : id_(id) {}

  /// Runs a method of the object's interface on its home and brings its result back. Errors: those of
  /// node_target::call; node_gone when the home is gone and its kind is not made anew, or was lost while the call was under way
  /// (it may or may not have run); deadline_exceeded while no home could be reached.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    static_cast<void>(&detail::Registered<T>::entry);
    if constexpr (detail::kReadOnlyHere<T> && !Shape::kConst && !kRoutedHome) {
      // What changes a replicated object passes its home wherever it is called.
      return policy_of<T>::template route<T>(id_).with_options(options_).template call<Member>(std::forward<Arguments>(arguments)...);
    } else {
      auto work = run<Member>(*this, Shape::store(std::forward<Arguments>(arguments)...));
      if (!options_.may_end_early()) return work;
      return detail::within_options(std::move(work), options_);
    }
  }

  /// The same, but nobody waits for the answer: the value says that the call has been started. It finds its home like any
  /// other, and so is answered on the way; it runs at most once. Errors: overloaded, when too many of this core are under way.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments&&... arguments) const {
    return detail::send_unanswered(call<Member>(std::forward<Arguments>(arguments)...));
  }

 private:
  using adjustable_target<home_target<T>>::options_;

  /// Calls that name no target lead here too.
  static constexpr bool kRoutedHome = std::is_same_v<decltype(policy_of<T>::template route<T>(ObjectId())), home_target>;

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> run(home_target self, Stored arguments) {
    using R = detail::MethodResult<Member>;
    static_assert(std::is_copy_constructible_v<Stored>, "calls of homes may be made again, and need arguments that can be copied; "
                                                        "those of `.on(node)` may be move-only");
    self.options_.begin();
    self.options_.begin_trace_if(false);  // once for all attempts
    // What changes an object that is only read where it is comes to its home by a message, on this node as well.
    if constexpr (!detail::kReadOnlyHere<T> || detail::SignatureOf<Member>::kConst) {
      const CoreIndex core = detail::home_here(self.id_);
      if (core != kAnyCore) {
        // Nothing is encoded for a home on this node, unless it turns out to be one no more.
        const auto here = target<T>(self.id_, core).with_options(self.options_);
        Stored copy = arguments;
        Result<R> answer = co_await std::apply(
            [&here](auto&... each) { return here.template call<Member>(std::move(each)...); }, copy);
        if (!detail::was_turned_away(answer)) co_return answer;
      }
    }
    Result<Bytes> bytes = detail::encoded(arguments);
    if (!bytes) co_return std::move(bytes).error();
    detail::EncodedCall call{self.id_, detail::kMethodLabel<T, Member>, std::move(self.options_), *std::move(bytes)};
    Result<Bytes> answer = co_await detail::call_home(&detail::kTypeDescriptor<T>, std::move(call));
    co_return detail::decoded<R>(std::move(answer), detail::kMethodLabel<T, Member>);
  }

  ObjectId id_;
};

/// One instance in the whole cluster, on the core that created the object (or the one named to create_at). Calls are
/// forwarded to it: `object.call<&T::method>(...)`. Its methods run on its core only, so it needs no lock. Every answer
/// comes from the one instance, also while nodes are cut off: a node answers for its homes only while it holds its lease
/// (docs/architecture.md). An object whose home is gone is lost, and its calls end with node_gone.
struct single_home {
  static constexpr std::string_view name = "single_home";
  /// Answers need the node's lease.
  static constexpr bool kExclusive = true;
  /// Whether the front end makes the home anew on another node when this one is surely gone.
  static constexpr bool kRemade = false;
  /// There is nothing here to point to.
  template <class T>
  using pointer = void;
  template <class T>
  static constexpr bool kHasRoot = false;
  template <class T>
  static home_target<T> route(ObjectId id) noexcept {
    return home_target<T>(id);
  }
  template <class T>
  static T* on_miss(ObjectId id, void*) {
    static_assert(std::is_default_constructible_v<T>, "an object of this kind is made without arguments: give its class a "
                                                      "constructor that takes none");
    const std::uint32_t epoch = detail::require_home(id, detail::kTypeDescriptor<T>);
    auto instance = std::make_unique<T>();
    bool moved_here = false;
    if constexpr (saves_state<T>) moved_here = detail::restore_home(id, epoch, detail::kTypeDescriptor<T>, instance.get());
    if (epoch > 1 && !moved_here) detail::tell_lost(*instance, home_lost{id, epoch});
    return instance.release();
  }
  template <class T>
  static void end_representative(T* representative, void*) {
    delete representative;
  }
};

/// Moves an object of the kind single_home or remade_home to another core, its state by save() and restore(); calls that
/// come meanwhile wait and go there. Errors: invalid_argument (no such node or core), overloaded (calls under way have not ended
/// for 20 s, or too much is on its way already; it stays), application_error or the code of the ErrorException that was thrown (by
/// save(), and it stays; or at the new home by on_miss or restore(), and the state waits there for the next call), no_such_object,
/// moved (somebody else moves it), and those of a call to the nodes concerned: then the object is at the old or at the new home,
/// which calls find as ever.
template <class T>
task<Result<void>> migrate(ref<T> object, NodeId node, CoreIndex core = CoreIndex{0});

/// A single home that outlives its node: when that is surely gone, another instance is made on another node, empty but for
/// what its on_lost() brings back. Calls wait for it meanwhile.
struct remade_home : single_home {
  static constexpr std::string_view name = "remade_home";
  static constexpr bool kRemade = true;
};

template <class T>
task<Result<void>> migrate(ref<T> object, NodeId node, CoreIndex core) {
  static_assert(std::is_base_of_v<single_home, policy_of<T>>, "only objects with one instance can be moved");
  static_assert(saves_state<T>, "an object that moves needs `auto save() const`, which gives its state as a value that travels, "
                                "and `void restore(value)`");
  static_cast<void>(&detail::Registered<T>::entry);
  return detail::migrate(object.id(), &detail::kTypeDescriptor<T>, node, core);
}

}  // namespace ebb
