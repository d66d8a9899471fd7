#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/observe/told.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ebb::frontend::observe::fuzz::check_told(std::as_bytes(std::span(data, size)));
  return 0;
}
