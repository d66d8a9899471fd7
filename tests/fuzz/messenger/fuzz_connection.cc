// libFuzzer's entry: any bytes a peer may send.
#include <cstdint>

#include "tests/fuzz/messenger/connection_harness.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ebb::messenger::fuzz::check(std::as_bytes(std::span(data, size)));
  return 0;
}
