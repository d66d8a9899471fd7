#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/object/services.h"

/// Calls that are left waiting leave their frames.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ebb::detail::fuzz::play(std::as_bytes(std::span(data, size)));
  return 0;
}
