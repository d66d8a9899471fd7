// Nodes as transient libvirt domains that end with this process.
#pragma once

#include <memory>
#include <string>

#include "frontend/nodes/driver.h"

namespace ebb::frontend::nodes {

struct LibvirtSettings {
  std::string uri = "qemu:///system";
  std::string network = "multilibos";
  std::string bridge = "mlbos0";
  std::uint32_t address = 0x0a58'0001;  ///< of the front end on the bridge (10.88.0.1), host byte order
};

/// Connects, reaps what dead front ends left, ensures the network. Blocks for at most about 30 s. The driver removes
/// the network at its end if no other front end uses it. `observer` must outlive the driver.
Result<std::unique_ptr<Driver>> make_libvirt_driver(const LibvirtSettings& settings, DriverObserver& observer);

/// What clean_libvirt_host() removed.
struct CleanedHost {
  enum class Network { absent, removed, in_use };
  std::size_t nodes = 0;
  std::size_t key_files = 0;
  Network network = Network::absent;
};

/// Destroys the domains and key files of dead front ends, and the network if no front end uses it. Blocks.
Result<CleanedHost> clean_libvirt_host(const LibvirtSettings& settings);

}  // namespace ebb::frontend::nodes
