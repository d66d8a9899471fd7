// SipHash-2-4, a keyed hash of short inputs (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

namespace kernel::net {

using SipKey = std::array<std::uint64_t, 2>;

/// Hashes whole words; for initial sequence numbers and hash tables that peers must not be able to steer.
constexpr std::uint64_t siphash(const SipKey& key, std::span<const std::uint64_t> words) noexcept {
  std::uint64_t a = key[0] ^ 0x736f6d6570736575u, b = key[1] ^ 0x646f72616e646f6du;
  std::uint64_t c = key[0] ^ 0x6c7967656e657261u, d = key[1] ^ 0x7465646279746573u;
  const auto round = [&] {
    a += b; c += d;
    b = std::rotl(b, 13) ^ a; d = std::rotl(d, 16) ^ c;
    a = std::rotl(a, 32);
    c += b; a += d;
    b = std::rotl(b, 17) ^ c; d = std::rotl(d, 21) ^ a;
    c = std::rotl(c, 32);
  };
  const auto mix = [&](std::uint64_t word) {
    d ^= word;
    round(); round();
    a ^= word;
  };
  for (std::uint64_t word : words) mix(word);
  mix(static_cast<std::uint64_t>(words.size() * 8) << 56);
  c ^= 0xff;
  round(); round(); round(); round();
  return a ^ b ^ c ^ d;
}

}  // namespace kernel::net
