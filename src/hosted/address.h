// An Endpoint as the socket calls want it. Private to src/hosted.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include "ebb/platform/stream.h"

namespace ebb::platform::hosted {

inline sockaddr_in to_address(Endpoint endpoint) noexcept {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(endpoint.address);
  address.sin_port = htons(endpoint.port);
  return address;
}

inline Endpoint from_address(const sockaddr_in& address) noexcept {
  if (address.sin_family != AF_INET) return {};
  return {ntohl(address.sin_addr.s_addr), ntohs(address.sin_port)};
}

}  // namespace ebb::platform::hosted
