// A stream without a network, for a connection by itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "ebb/base/bytes.h"
#include "ebb/platform/stream.h"

namespace ebb::messenger_test {

/// Takes so many bytes and no more, into `to`.
struct Wire final : platform::Stream {
  Wire(Bytes& to, std::size_t& most) : sent(to), takes(most) {}
  void set_handler(platform::StreamHandler&) noexcept override {}
  std::size_t send(std::span<const std::byte> bytes) override {
    const auto taken = bytes.first(std::min(bytes.size(), takes));
    sent.insert(sent.end(), taken.begin(), taken.end());
    takes -= taken.size();
    return taken.size();
  }
  void set_reading(bool) override {}
  void close() override {}
  platform::Endpoint local() const override { return {}; }
  platform::Endpoint remote() const override { return {}; }
  Bytes& sent;
  std::size_t& takes;
};

}  // namespace ebb::messenger_test
