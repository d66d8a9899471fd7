// ebb::generator: a coroutine that gives one value after another, and may wait in between.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace ebb {

/// `co_yield value` gives the next one to whoever awaits next(); it runs only while that is awaited. Move-only; one
/// core. May be destroyed before its end wherever it stands at a co_yield, as it does whenever nobody awaits next().
/// Write parameters by value, as for ebb::task.
template <class T>
class [[nodiscard]] generator {
 public:
  using value_type = T;

  struct promise_type {
    std::optional<T> current;
    std::exception_ptr error;
    std::coroutine_handle<> consumer = std::noop_coroutine();

    struct HandOver {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return std::exchange(self.promise().consumer, std::noop_coroutine());
      }
      void await_resume() const noexcept {}
    };

    generator get_return_object() noexcept {
      return generator(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    HandOver final_suspend() noexcept {
      current.reset();
      return {};
    }
    HandOver yield_value(T value) {
      current.emplace(std::move(value));
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { error = std::current_exception(); }
  };

  generator() noexcept = default;
  generator(generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~generator() {
    if (handle_) handle_.destroy();
  }

  class Next {
   public:
    explicit Next(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return !handle_ || handle_.done(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> consumer) const noexcept {
      handle_.promise().consumer = consumer;
      return handle_;
    }
    std::optional<T> await_resume() const {
      if (!handle_) return std::nullopt;
      if (handle_.promise().error) std::rethrow_exception(std::exchange(handle_.promise().error, nullptr));
      return std::exchange(handle_.promise().current, std::nullopt);
    }

   private:
    std::coroutine_handle<promise_type> handle_;
  };

  /// `std::optional<T> value = co_await values.next();`: nothing once it has ended, and from then on. Throws what left it,
  /// once. One awaiter at a time.
  Next next() noexcept { return Next(handle_); }

 private:
  explicit generator(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_ = nullptr;
};

}  // namespace ebb
