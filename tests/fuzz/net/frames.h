// One run of hostile frames: a fuzzer's bytes become frames for a stack that has a listener, a live connection, UDP
// and DHCP. Shared by the libFuzzer program and by its short replay among the unit tests.
#pragma once

#include <cstddef>
#include <span>

namespace net_fuzz {

/// Plays `input`; crashes, sanitizer reports and broken promises are the only outcome that matters.
void play(std::span<const std::byte> input);

}  // namespace net_fuzz
