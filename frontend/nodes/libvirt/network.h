// The libvirt network that front end and nodes share.
#pragma once

#include <cstdint>
#include <string>

#include "frontend/nodes/libvirt/libvirt_connection.h"

namespace ebb::frontend::nodes {

struct NetworkSettings {
  std::string name = "multilibos";
  std::string bridge = "mlbos0";
  std::uint32_t address = 0x0a58'0001;  ///< 10.88.0.1, the front end's; host byte order; the subnet is its /24
};

/// The network's XML: isolated bridge with DHCP, no spanning tree (its ports would stay silent for seconds).
std::string network_xml(const NetworkSettings& settings);

/// Makes the network unless it runs. address_in_use if another interface of this host has its subnet or its bridge's name.
Result<void> ensure_network(virConnectPtr connection, const NetworkSettings& settings);

/// Removes the network if no domain of ours is left; whether it did. The caller is the last user (NetworkUse::is_last).
Result<bool> remove_network_if_unused(virConnectPtr connection, const NetworkSettings& settings);

}  // namespace ebb::frontend::nodes
