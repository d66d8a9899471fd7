// What waits to go out by one connection: frames one after the other, and where one ends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ebb/base/bytes.h"
#include "ebb/platform/stream.h"
#include "src/messenger/frame.h"

namespace ebb::messenger {

/// One core only. How much may wait is its owner's to bound.
class Output {
 public:
  /// Sent bytes that are kept in front at most, before the rest is moved up.
  static constexpr std::size_t kMaxSentBytes = std::size_t{4} << 20;

  std::size_t queued() const noexcept { return bytes_.size() - sent_; }

  /// Bytes of the handshake, before the first frame.
  void add_raw(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    boundary_ = bytes_.size();
  }
  /// The whole frame or, with std::bad_alloc, nothing of it.
  void add(const FrameHeader& header, std::span<const std::byte> prefix, std::span<const std::byte> payload) {
    const auto head = encode(header);
    const std::size_t needed = bytes_.size() + head.size() + prefix.size() + payload.size();
    if (needed > bytes_.capacity()) bytes_.reserve(std::max(needed, 2 * bytes_.capacity()));
    bytes_.insert(bytes_.end(), head.begin(), head.end());
    bytes_.insert(bytes_.end(), prefix.begin(), prefix.end());
    bytes_.insert(bytes_.end(), payload.begin(), payload.end());
  }

  /// Where the frame that is added next begins, counted in all the bytes that there ever were.
  std::uint64_t end() const noexcept { return passed_ + queued(); }
  /// Whether the frame that begins there has begun to go out.
  bool has_begun(std::uint64_t begin) const noexcept { return begin < passed_; }

  /// How many of the queued bytes belong to a frame of which some have gone out already.
  std::size_t begun() noexcept {
    while (boundary_ < sent_) {
      const auto header = parse_header(std::span(bytes_).subspan(boundary_).first<FrameHeader::kBytes>());
      boundary_ += FrameHeader::kBytes + header->payload_bytes;  // our own frame
    }
    return boundary_ - sent_;
  }

  /// Hands the stream the first `count` of the queued bytes; how many it took.
  std::size_t send(platform::Stream& stream, std::size_t count) {
    const std::size_t taken = stream.send(std::span(bytes_).subspan(sent_, count));
    sent_ += taken;
    passed_ += taken;
    if (sent_ == bytes_.size()) {
      bytes_.clear();
      boundary_ = sent_ = 0;
    } else if (sent_ > kMaxSentBytes) {
      const std::size_t ahead = begun();
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
      boundary_ = ahead;
      sent_ = 0;
    }
    return taken;
  }

  /// Gives back a buffer that grew larger than `kept` and is empty.
  void shrink(std::size_t kept) {
    if (bytes_.empty() && bytes_.capacity() > kept) bytes_ = Bytes();
  }

 private:
  Bytes bytes_;               // from sent_ on: what the stream has not taken
  std::size_t sent_ = 0;
  std::uint64_t passed_ = 0;  // to the stream, ever
  std::size_t boundary_ = 0;  // where a frame begins; moves up to sent_ when asked
};

}  // namespace ebb::messenger
