#include "src/async/context_stack.h"

#include <cxxabi.h>
#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstring>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EBB_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define EBB_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define EBB_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__)
#define EBB_THREAD_SANITIZER 1
#endif
#if defined(EBB_ADDRESS_SANITIZER)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(EBB_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace ebb::detail {

namespace {

constexpr std::size_t kPageBytes = 4096;
#if defined(EBB_ADDRESS_SANITIZER) || defined(EBB_THREAD_SANITIZER)
constexpr std::size_t kStackBytes = 4096 * 1024;  // instrumented frames are several times larger, and there are no tail calls
#else
constexpr std::size_t kStackBytes = 128 * 1024;
#endif

}  // namespace

/// What a context begins with.
struct ContextEntry {
  static void enter(boost::context::detail::transfer_t from) {
    auto** pair = static_cast<ContextStack**>(from.data);
    ContextStack* const self = pair[1];
    pair[0]->saved_ = from.fctx;
#if defined(EBB_ADDRESS_SANITIZER)
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    self->entry_(self->argument_);
    __builtin_unreachable();
  }
};

ContextStack::ContextStack() noexcept {
#if defined(EBB_ADDRESS_SANITIZER)
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* bottom = nullptr;
    pthread_attr_getstack(&attributes, &bottom, &stack_bytes_);
    stack_bottom_ = bottom;
    pthread_attr_destroy(&attributes);
  }
#endif
#if defined(EBB_THREAD_SANITIZER)
  thread_sanitizer_fiber_ = __tsan_get_current_fiber();
#endif
}

std::unique_ptr<ContextStack> ContextStack::create(void (*entry)(void*), void* argument) {
  std::unique_ptr<ContextStack> context(new (std::nothrow) ContextStack);
  if (!context) return nullptr;
  // The lowest page stays without access: running over the end of the stack faults instead of corrupting.
  const std::size_t bytes = kStackBytes + kPageBytes;
  void* mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  // Where the platform cannot protect pages the stack works without its guard.
  static_cast<void>(mprotect(mapping, kPageBytes, PROT_NONE));
  context->mapping_ = mapping;
  context->mapping_bytes_ = bytes;
  context->entry_ = entry;
  context->argument_ = argument;
  context->stack_bottom_ = static_cast<std::byte*>(mapping) + kPageBytes;
  context->stack_bytes_ = kStackBytes;
  context->saved_ = boost::context::detail::make_fcontext(static_cast<std::byte*>(mapping) + bytes, kStackBytes, &ContextEntry::enter);
#if defined(EBB_THREAD_SANITIZER)
  context->thread_sanitizer_fiber_ = __tsan_create_fiber(0);
#endif
  return context;
}

ContextStack::~ContextStack() {
  if (mapping_ == nullptr) return;
#if defined(EBB_THREAD_SANITIZER)
  __tsan_destroy_fiber(thread_sanitizer_fiber_);
#endif
#if defined(EBB_ADDRESS_SANITIZER)
  // The frames that were on it leave their red zones in the shadow of addresses that will be used again.
  __asan_unpoison_memory_region(mapping_, mapping_bytes_);
#endif
  munmap(mapping_, mapping_bytes_);
}

void ContextStack::switch_to(ContextStack& next) noexcept {
  void* const globals = abi::__cxa_get_globals();
  std::memcpy(exception_state_, globals, kExceptionStateBytes);
  std::memcpy(globals, next.exception_state_, kExceptionStateBytes);
#if defined(EBB_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(&fake_stack_, next.stack_bottom_, next.stack_bytes_);
#endif
#if defined(EBB_THREAD_SANITIZER)
  __tsan_switch_to_fiber(next.thread_sanitizer_fiber_, 0);
#endif
  // The other side stores where this context stopped, through the pair on this stack, before it does anything else.
  ContextStack* pair[2] = {this, &next};
  const boost::context::detail::transfer_t from = boost::context::detail::jump_fcontext(next.saved_, pair);
  static_cast<ContextStack**>(from.data)[0]->saved_ = from.fctx;
#if defined(EBB_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
}

}  // namespace ebb::detail
