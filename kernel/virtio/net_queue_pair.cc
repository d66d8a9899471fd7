#include "kernel/virtio/net_queue_pair.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/virtio/net_format.h"

namespace kernel::virtio::net {

ebb::Result<std::unique_ptr<QueuePair>> QueuePair::create(Transport& transport, std::uint16_t index, bool merge,
                                                          std::uint16_t interrupt, AllocatePages allocate) {
  const auto receive_number = static_cast<std::uint16_t>(2 * index);
  const auto transmit_number = static_cast<std::uint16_t>(2 * index + 1);
  auto receive = Virtqueue::create(transport.max_queue_size(receive_number), allocate);
  if (!receive) return std::move(receive).error();
  auto transmit = Virtqueue::create(transport.max_queue_size(transmit_number), allocate);
  if (!transmit) return std::move(transmit).error();
  auto* receive_buffers = static_cast<std::byte*>(allocate(receive->size()));
  auto* transmit_buffers = static_cast<std::byte*>(allocate(transmit->size()));
  if (receive_buffers == nullptr || transmit_buffers == nullptr) {
    return ebb::Error(ebb::Errc::resource_exhausted, "no memory is left for network buffers; give the node more memory");
  }
  if (auto done = transport.set_up_queue(receive_number, receive->addresses(), interrupt); !done) return std::move(done).error();
  if (auto done = transport.set_up_queue(transmit_number, transmit->addresses(), std::nullopt); !done) {
    return std::move(done).error();
  }
  return std::unique_ptr<QueuePair>(new QueuePair(transport, index, merge, std::move(*receive), std::move(*transmit),
                                                  receive_buffers, transmit_buffers));
}

QueuePair::QueuePair(Transport& transport, std::uint16_t index, bool merge, Virtqueue receive, Virtqueue transmit,
                     std::byte* receive_buffers, std::byte* transmit_buffers)
    : transport_(transport),
      receive_number_(static_cast<std::uint16_t>(2 * index)),
      transmit_number_(static_cast<std::uint16_t>(2 * index + 1)),
      merge_(merge),
      receive_(std::move(receive)),
      transmit_(std::move(transmit)),
      receive_buffers_(receive_buffers),
      transmit_buffers_(transmit_buffers),
      chain_(transmit_.size(), kChainEnd) {
  free_.reserve(transmit_.size());
  for (std::uint16_t i = transmit_.size(); i > 0; --i) free_.push_back(static_cast<std::uint16_t>(i - 1));
  merged_.reserve(merge_ ? sizeof(Header) + kMaxFrameBytes : 0);
  for (std::uint16_t i = 0; i < receive_.size(); ++i) post(i);
}

void QueuePair::post(std::uint16_t index) {
  receive_.descriptor(index) = {reinterpret_cast<std::uintptr_t>(receive_buffers_ + index * kPageBytes), kPageBytes,
                                kDescriptorDeviceWrites, 0};
  receive_.publish(index);
}

void QueuePair::reclaim() {
  while (const auto used = transmit_.take_used()) {
    // By our own links: those in the descriptors lie in memory that the device shares.
    for (std::uint16_t index = used->head; index != kChainEnd; index = chain_[index]) free_.push_back(index);
  }
}

bool QueuePair::transmit(const kernel::net::OutgoingFrame& frame) {
  const std::size_t size = sizeof(Header) + frame.size_bytes();
  const std::size_t count = (size + kPageBytes - 1) / kPageBytes;
  if (free_.size() < count || free_.size() < transmit_.size() / 2u) reclaim();
  if (transmit_.broken() || free_.size() < count || frame.size_bytes() > kMaxFrameBytes) {
    ++statistics_.refused_full;
    flush();
    return false;
  }
  Header header{};
  if (frame.partial_checksum) {
    header.flags = kFlagNeedsChecksum;
    header.checksum_start = frame.checksum_start;
    header.checksum_offset = frame.checksum_offset;
  }
  if (frame.segment_bytes != 0) {
    header.segmentation = kSegmentationTcp4;
    header.segment_bytes = frame.segment_bytes;
    header.header_bytes = static_cast<std::uint16_t>(frame.headers.size());
  }
  const std::array<std::span<const std::byte>, 4> pieces{std::as_bytes(std::span(&header, 1)), frame.headers,
                                                         frame.payload[0], frame.payload[1]};
  // Descriptors in the chain's order, the last one first off the list.
  const std::uint16_t head = free_.back();
  std::uint16_t index = head;
  std::size_t filled = 0;
  free_.pop_back();
  const auto seal = [&](bool last) {
    std::uint16_t next = 0;
    if (!last) {
      next = free_.back();
      free_.pop_back();
    }
    transmit_.descriptor(index) = {reinterpret_cast<std::uintptr_t>(transmit_buffers_ + index * kPageBytes),
                                   static_cast<std::uint32_t>(filled), last ? std::uint16_t{0} : kDescriptorNext, next};
    chain_[index] = last ? kChainEnd : next;
    index = next;
    filled = 0;
  };
  for (std::span<const std::byte> piece : pieces) {
    while (!piece.empty()) {
      if (filled == kPageBytes) seal(false);
      const std::size_t part = std::min(kPageBytes - filled, piece.size());
      std::memcpy(transmit_buffers_ + index * kPageBytes + filled, piece.data(), part);
      filled += part;
      piece = piece.subspan(part);
    }
  }
  seal(true);
  transmit_.publish(head);
  ++statistics_.sent;
  if (++untold_ >= kMaxUntold) flush();
  return true;
}

void QueuePair::flush() {
  if (untold_ == 0) return;
  untold_ = 0;
  if (transmit_.wants_notification()) transport_.notify(transmit_number_);
}

std::size_t QueuePair::receive(std::size_t limit, const Deliver& deliver) {
  std::size_t count = 0;
  while (count < limit && receive_one(deliver)) ++count;
  if (count != 0 && receive_.wants_notification()) transport_.notify(receive_number_);
  return count;
}

bool QueuePair::receive_one(const Deliver& deliver) {
  const auto used = receive_.take_used();
  if (!used) return false;
  const std::byte* buffer = receive_buffers_ + used->head * kPageBytes;
  Header header;
  std::memcpy(&header, buffer, sizeof header);  // once: the device may still write
  std::span<const std::byte> frame;
  bool usable = used->length >= sizeof header && used->length <= kPageBytes;
  const std::uint16_t buffers = merge_ ? header.buffer_count : std::uint16_t{1};
  if (usable && buffers > 1) {
    // The other buffers follow in the ring, and are there: the device makes a frame visible as a whole [5.1.6.4].
    merged_.assign(buffer, buffer + used->length);
    for (std::uint16_t i = 1; i < buffers; ++i) {
      const auto more = receive_.take_used();
      if (!more || more->length > kPageBytes || merged_.size() + more->length > merged_.capacity()) usable = false;
      if (!more) break;
      if (usable) {
        const std::byte* bytes = receive_buffers_ + more->head * kPageBytes;
        merged_.insert(merged_.end(), bytes, bytes + more->length);
      }
      post(more->head);
    }
    frame = std::span<const std::byte>(merged_).subspan(sizeof header);
  } else if (usable && buffers == 1) {
    frame = std::span(buffer, used->length).subspan(sizeof header);
  } else {
    usable = false;
  }
  if (usable) {
    ++statistics_.received;
    kernel::net::ReceiveFlags flags;
    flags.checksum_valid = (header.flags & (kFlagNeedsChecksum | kFlagChecksumValid)) != 0;
    deliver(frame, flags);
  } else {
    ++statistics_.dropped_malformed;
  }
  post(used->head);
  return true;
}

}  // namespace kernel::virtio::net
