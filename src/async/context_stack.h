// The contexts (stacks) of one core: made, switched, kept for reuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ebb/async/context.h"

namespace ebb::detail {

/// One context. The 16 bytes of exception state that the C++ runtime keeps per thread are swapped at each switch, so that
/// `throw;` in one blocked event never rethrows another's exception.
class ContextStack final : public Context {
 public:
  /// The thread's own stack, on which run_cores() was called or the core's thread began.
  ContextStack() noexcept;
  /// A fresh stack that begins with `entry(argument)`; entry never returns. nullptr when memory is exhausted.
  static std::unique_ptr<ContextStack> create(void (*entry)(void*), void* argument);
  ~ContextStack();

  /// Saves the running context in `*this` and goes on in `next`, which must be of the same thread.
  void switch_to(ContextStack& next) noexcept;

  bool parked = false;  ///< in block(), waiting for resume()
  bool permit = false;  ///< resume() came first

 private:
  static constexpr std::size_t kExceptionStateBytes = 16;
  friend struct ContextEntry;

  void* saved_ = nullptr;
  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  alignas(8) std::byte exception_state_[kExceptionStateBytes]{};
  // For the sanitizers; unused otherwise.
  [[maybe_unused]] void* fake_stack_ = nullptr;
  [[maybe_unused]] void* thread_sanitizer_fiber_ = nullptr;
  [[maybe_unused]] const void* stack_bottom_ = nullptr;
  [[maybe_unused]] std::size_t stack_bytes_ = 0;
};

}  // namespace ebb::detail
