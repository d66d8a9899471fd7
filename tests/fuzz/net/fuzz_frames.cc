// libFuzzer's entry: see frames.h. Build with clang and -fsanitize=fuzzer,address,undefined.
#include <cstdint>

#include "tests/fuzz/net/frames.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  net_fuzz::play(std::as_bytes(std::span(data, size)));
  return 0;
}
