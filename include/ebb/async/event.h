// One piece of work for an event loop: a move-only void() that holds small callables without allocating.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace ebb {

namespace detail {
class CrossCoreRing;
}

/// Runs once, then is empty. 64 bytes: a callable of up to kInlineBytes lives inside, a larger one on the heap.
/// Moving one whose callable is trivially copyable (captures of pointers and numbers) copies bytes.
class Event {
 public:
  static constexpr std::size_t kInlineBytes = 48;

  Event() noexcept = default;

  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Event> && std::is_invocable_v<std::decay_t<F>&>)
  Event(F&& callable) {  // NOLINT: implicit on purpose, as std::function
    using Callable = std::decay_t<F>;
    if constexpr (sizeof(Callable) <= kInlineBytes && alignof(Callable) <= alignof(void*) &&
                  std::is_nothrow_move_constructible_v<Callable>) {
      ::new (static_cast<void*>(storage_)) Callable(std::forward<F>(callable));
      act_ = &Inline<Callable>::act;
      if constexpr (!std::is_trivially_copyable_v<Callable>) move_ = &Inline<Callable>::move;
    } else {
      auto* heap = new Callable(std::forward<F>(callable));
      std::memcpy(storage_, &heap, sizeof heap);
      act_ = &Heap<Callable>::act;
    }
  }

  Event(Event&& other) noexcept { take(other); }
  Event& operator=(Event&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { reset(); }

  explicit operator bool() const noexcept { return act_ != nullptr; }

  /// Runs the callable and destroys it; the Event is empty from the moment the callable starts.
  void run() {
    const Act act = act_;
    act_ = nullptr;
    act(storage_, true);
  }

  /// Destroys the callable without running it.
  void reset() noexcept {
    if (act_ == nullptr) return;
    const Act act = act_;
    act_ = nullptr;
    act(storage_, false);
  }

 private:
  friend class detail::CrossCoreRing;  // takes one apart, so that it crosses cores in one cache line

  using Act = void (*)(void* storage, bool run);
  using Move = void (*)(void* from, void* to) noexcept;

  template <class Callable>
  struct Inline {
    static void act(void* storage, bool run) {
      auto* callable = std::launder(static_cast<Callable*>(storage));
      struct Destroy {
        Callable* callable;
        ~Destroy() { callable->~Callable(); }
      } destroy{callable};
      if (run) (*callable)();
    }
    static void move(void* from, void* to) noexcept {
      auto* callable = std::launder(static_cast<Callable*>(from));
      ::new (to) Callable(std::move(*callable));
      callable->~Callable();
    }
  };

  template <class Callable>
  struct Heap {
    static void act(void* storage, bool run) {
      Callable* heap;
      std::memcpy(&heap, storage, sizeof heap);
      struct Delete {
        Callable* callable;
        ~Delete() { delete callable; }
      } destroy{heap};
      if (run) (*heap)();
    }
  };

  void take(Event& other) noexcept {
    act_ = other.act_;
    move_ = other.move_;
    if (act_ != nullptr && move_ != nullptr) {
      move_(other.storage_, storage_);
    } else {
      std::memcpy(storage_, other.storage_, sizeof storage_);
    }
    other.act_ = nullptr;
  }

  Act act_ = nullptr;
  Move move_ = nullptr;  // nullptr: the bytes may simply be copied
  alignas(void*) std::byte storage_[kInlineBytes]{};
};

static_assert(sizeof(Event) == 64, "an event fills one cache line");

}  // namespace ebb
