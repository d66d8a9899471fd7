#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/object/services.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ebb::detail::fuzz::play(std::as_bytes(std::span(data, size)));
  return 0;
}
