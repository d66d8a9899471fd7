// What reading takes from the allocator: no more than the reader says it may. Of programs with AddressSanitizer.
#pragma once

#include <cstddef>
#include <cstdlib>

#include "ebb/wire/buffer.h"

// Of <sanitizer/allocator_interface.h>, which gcc does not have.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, std::size_t),
                                                         void (*freed)(const volatile void*));

namespace ebb::wire::fuzz {

/// All that is allocated while one is alive, freed or not.
class AllocatedBytes {
 public:
  AllocatedBytes() {
    static const int kHooked = __sanitizer_install_malloc_and_free_hooks([](const volatile void*, std::size_t size) { add(size); },
                                                                         [](const volatile void*) {});
    if (kHooked == 0) std::abort();
    counted_ = &bytes_;
  }
  AllocatedBytes(const AllocatedBytes&) = delete;
  AllocatedBytes& operator=(const AllocatedBytes&) = delete;
  ~AllocatedBytes() { counted_ = nullptr; }

  /// Ends the program where it is more than reading `size` bytes may take.
  void check(std::size_t size) const {
    // A read's failure has a text or a node of its own at most.
    constexpr std::size_t kOneMore = 512;
    if (bytes_ > Reader::kMemoryBase + size * Reader::kMemoryPerByte + kOneMore) std::abort();
  }

 private:
  static void add(std::size_t size) {
    if (counted_ != nullptr) *counted_ += size;
  }
  static inline thread_local std::size_t* counted_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace ebb::wire::fuzz
