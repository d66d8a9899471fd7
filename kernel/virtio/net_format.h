// What a virtio network device and its driver exchange [virtio 1.1, 5.1].
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::virtio::net {

inline constexpr std::uint16_t kVendor = 0x1af4;
inline constexpr std::uint16_t kModernDeviceId = 0x1041;        // 0x1040 + device type 1 [virtio 1.1, 4.1.2]
inline constexpr std::uint16_t kTransitionalDeviceId = 0x1000;

/// Feature bits [5.1.3].
inline constexpr std::uint64_t kChecksum = 1u << 0;              // completes checksums of what we send
inline constexpr std::uint64_t kGuestChecksum = 1u << 1;         // we take frames with partial checksums
inline constexpr std::uint64_t kMtu = 1u << 3;
inline constexpr std::uint64_t kMac = 1u << 5;
inline constexpr std::uint64_t kGuestSegments = 1u << 7;         // GUEST_TSO4: we take TCP super-segments
inline constexpr std::uint64_t kHostSegments = 1u << 11;         // HOST_TSO4: cuts super-segments of ours
inline constexpr std::uint64_t kMergeReceiveBuffers = 1u << 15;
inline constexpr std::uint64_t kControlQueue = 1u << 17;
inline constexpr std::uint64_t kMultiqueue = 1u << 22;

/// Device settings [5.1.4].
inline constexpr std::size_t kMacOffset = 0;
inline constexpr std::size_t kMaxPairsOffset = 8;
inline constexpr std::size_t kMtuOffset = 10;

/// In front of every frame [5.1.6].
struct Header {
  std::uint8_t flags;
  std::uint8_t segmentation;
  std::uint16_t header_bytes;
  std::uint16_t segment_bytes;
  std::uint16_t checksum_start;
  std::uint16_t checksum_offset;
  std::uint16_t buffer_count;  // received frames with kMergeReceiveBuffers
};
static_assert(sizeof(Header) == 12);
inline constexpr std::uint8_t kFlagNeedsChecksum = 1;
inline constexpr std::uint8_t kFlagChecksumValid = 2;
inline constexpr std::uint8_t kSegmentationTcp4 = 1;

/// The command that sets how many queue pairs are used [5.1.6.5.5].
inline constexpr std::uint8_t kClassMultiqueue = 4;
inline constexpr std::uint8_t kCommandSetPairs = 0;
inline constexpr std::uint8_t kAcknowledged = 0;

}  // namespace kernel::virtio::net
