// What names a TCP connection, and which core it belongs to.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ebb/base/ids.h"

namespace kernel::net {

/// Both ends, from our side.
struct Flow {
  std::uint32_t local_address = 0;
  std::uint32_t remote_address = 0;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  friend bool operator==(const Flow&, const Flow&) = default;
};

/// The same on every core of a node, and spread evenly for consecutive ports.
constexpr ebb::CoreIndex core_of(const Flow& flow, std::size_t core_count) noexcept {
  std::uint64_t x = (std::uint64_t{flow.local_address} << 32 | flow.remote_address) * 0x9e3779b97f4a7c15u;
  x ^= std::uint64_t{flow.local_port} << 16 | flow.remote_port;
  x *= 0xd6e8feb86659fd93u;  // an odd multiplier; the upper bits end up well mixed
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93u;
  return static_cast<ebb::CoreIndex>((x >> 32) % core_count);
}

}  // namespace kernel::net
