#include <charconv>

#include "ebb/platform/stream.h"

namespace ebb::platform {

std::string to_string(Endpoint endpoint) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += std::to_string((endpoint.address >> shift) & 0xff);
    text += shift == 0 ? ':' : '.';
  }
  return text + std::to_string(endpoint.port);
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const char* position = text.data();
  const char* const end = position + text.size();
  // One decimal number up to `limit` followed by `delimiter` ('\0': the end of the text).
  auto number = [&](std::uint32_t limit, char delimiter) -> std::optional<std::uint32_t> {
    std::uint32_t value = 0;
    auto [next, error] = std::from_chars(position, end, value);
    if (error != std::errc{} || value > limit) return std::nullopt;
    if (delimiter == '\0') {
      if (next != end) return std::nullopt;
    } else {
      if (next == end || *next != delimiter) return std::nullopt;
      ++next;
    }
    position = next;
    return value;
  };
  Endpoint endpoint;
  for (int part = 0; part < 4; ++part) {
    auto value = number(255, part == 3 ? ':' : '.');
    if (!value) return std::nullopt;
    endpoint.address = endpoint.address << 8 | *value;
  }
  auto port = number(65535, '\0');
  if (!port) return std::nullopt;
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

}  // namespace ebb::platform
