// Objects that are read everywhere and written in one place.
#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/call_options.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/home.h"
#include "ebb/object/local_call.h"
#include "ebb/object/measured.h"
#include "ebb/object/signature.h"
#include "ebb/object/target.h"
#include "ebb/object/type.h"

namespace ebb {

namespace detail {

/// The parts that the policy below is made of, with the type erased (src/object/replica.cc).
struct Replication {
  static void* make_root(ObjectId id);
  static void end_root(void* root);
  /// Fills `value`, this core's new replica, with the present state, and takes part in what follows; or, on the home,
  /// makes it the original. Blocks the event.
  static void join(ObjectId id, void* root, void* value, const TypeDescriptor& type);
  /// The end of `value`, which this core has had. Another replica may have taken its place meanwhile: that one stays.
  static void leave(void* root, const void* value);
  static task<Result<Bytes>> serve(ObjectId id, void* representative, const RemoteMethod& method, Bytes arguments,
                                   ServedCaller caller);
  static void become_home(ObjectId id);
};

}  // namespace detail

/// Where a call of a replicated object goes: const methods to this core's replica, the others to the home.
template <class T>
class replicated_target : public adjustable_target<replicated_target<T>> {
 public:
  explicit replicated_target(ObjectId id) noexcept : id_(id) {}

  /// Errors: those of home_target::call; too_large (see Original::kMaxWriteBytes), cancelled (the object ended before
  /// all replicas had carried it out), overloaded (too many writes wait for replicas, until the deadline). A write that ends
  /// early may have been carried out; if so, every replica carries it out.
  template <auto Member, class... Arguments>
  task<Result<detail::MethodResult<Member>>> call(Arguments&&... arguments) const {
    using Shape = detail::SignatureOf<Member>;
    static_assert(Shape::must_travel());
    static_assert(!detail::IsTask<typename Shape::return_type>::value,
                  "the methods of a replicated object are plain functions: all replicas carry out the same writes, and one "
                  "that waits would let others come between");
    if constexpr (Shape::kConst) {
      return target<T>(id_, kAnyCore).with_options(options_).template call<Member>(std::forward<Arguments>(arguments)...);
    } else {
      static_cast<void>(&detail::Registered<T>::entry);
      auto work = write<Member>(*this, Shape::store(std::forward<Arguments>(arguments)...));
      if (!options_.may_end_early()) return work;
      return detail::within_options(std::move(work), options_);
    }
  }

  /// The same, but nobody waits for the answer: home_target::send.
  template <auto Member, class... Arguments>
  task<Result<void>> send(Arguments&&... arguments) const {
    return detail::send_unanswered(call<Member>(std::forward<Arguments>(arguments)...));
  }

 private:
  using adjustable_target<replicated_target<T>>::options_;

  template <auto Member, class Stored>
  static task<Result<detail::MethodResult<Member>>> write(replicated_target self, Stored arguments) {
    using R = detail::MethodResult<Member>;
    Result<Bytes> bytes = detail::encoded(arguments);
    if (!bytes) co_return std::move(bytes).error();
    detail::EncodedCall call{self.id_, detail::kMethodLabel<T, Member>, std::move(self.options_), *std::move(bytes)};
    Result<Bytes> answer = co_await detail::call_home(&detail::kTypeDescriptor<T>, std::move(call));
    co_return detail::decoded<R>(std::move(answer), detail::kMethodLabel<T, Member>);
  }

  ObjectId id_;
};

/// A replica on each core that touches the object. `->` gives constant access to it, in one load. All other methods are
/// writes: `object.call<&T::method>(...)` goes to the home, which carries out one write after the other, sends each to
/// every replica, and answers when all have carried it out too.
///
/// What a reader may see: every replica goes through the same writes in the same order. A read that begins after a write has
/// been answered sees it, wherever it reads. While a write is under way some replicas show it and others do not yet; a
/// reader that goes from one core to another may so see time run backwards for that moment. A read on the home (`on_home()`)
/// does not.
///
/// Writes are plain functions and must do the same on every replica: no clock, no random numbers, no other objects. Reads do not
/// wait either (block_on): meanwhile the replica might end, as with the lease or when a write it has missed comes. A new
/// replica gets the state by save() and restore(), which the type must have (saves_state). When the home's node is gone, the
/// replica that has seen the most writes becomes the home: no answered write is lost as long as one replica lives. A node that
/// loses touch with the front end drops its replicas when its lease ends (the home keeps its own, out of sight until the lease
/// is back); a write waits that long for a node that is gone.
struct replicated {
  static constexpr std::string_view name = "replicated";
  static constexpr bool kExclusive = true;
  static constexpr bool kRemade = true;
  /// Its replicas are dropped when the lease ends, because nothing is asked when they are read.
  static constexpr bool kCaches = true;
  template <class T>
  using pointer = const T*;
  template <class T>
  static replicated_target<T> route(ObjectId id) noexcept {
    return replicated_target<T>(id);
  }
  template <class T>
  static constexpr bool kHasRoot = true;
  template <class T>
  static void* make_root(ObjectId id) {
    static_assert(saves_state<T>, "a replicated object needs `auto save() const`, which gives its state as a value that "
                                  "travels, and `void restore(value)`");
    static_assert(!detail::has_root<T>, "a replicated object has no root of its own: its replicas share nothing");
    return detail::Replication::make_root(id);
  }
  template <class T>
  static void end_root(void* root) {
    detail::Replication::end_root(root);
  }
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    static_assert(std::is_default_constructible_v<T>, "a replica is made without arguments, and then restored: give its class a "
                                                      "constructor that takes none");
    auto value = std::make_unique<T>();
    detail::Replication::join(id, root, value.get(), detail::kTypeDescriptor<T>);
    return value.release();
  }
  template <class T>
  static void end_representative(T* representative, void* root) {
    detail::Replication::leave(root, representative);
    delete representative;
  }
  static task<Result<Bytes>> serve(ObjectId id, void* representative, const detail::RemoteMethod& method, Bytes arguments,
                                   detail::ServedCaller caller) {
    return detail::Replication::serve(id, representative, method, std::move(arguments), std::move(caller));
  }
  static void become_home(ObjectId id) { detail::Replication::become_home(id); }
};

}  // namespace ebb
