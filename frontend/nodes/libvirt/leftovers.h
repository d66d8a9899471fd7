// Domains of front ends that died while libvirtd was not there to notice.
#pragma once

#include <cstddef>

#include "frontend/nodes/libvirt/libvirt_connection.h"

namespace ebb::frontend::nodes {

/// Domains that carry our tag, whoever owns them.
std::size_t count_our_domains(virConnectPtr connection);

struct Leftovers {
  std::size_t nodes = 0;
  std::size_t key_files = 0;
};

/// Destroys domains whose front end no longer runs and removes its key files; how many of each.
Leftovers reap_leftovers(virConnectPtr connection);

}  // namespace ebb::frontend::nodes
