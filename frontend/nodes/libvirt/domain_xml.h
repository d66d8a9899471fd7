// A node as a libvirt domain: text in, text out, no libvirt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "frontend/nodes/driver.h"

namespace ebb::frontend::nodes {

/// The namespace of our <metadata>, by which leftovers are recognized.
inline constexpr std::string_view kMetadataUri = "https://multilibos.org/domain/1";

/// Who runs a domain: enough to tell a live front end from a dead one whose process id was given away again.
struct OwnerTag {
  std::int64_t pid = 0;
  std::uint64_t start_time = 0;  ///< field 22 of /proc/PID/stat, in clock ticks
  std::string boot_id;           ///< /proc/sys/kernel/random/boot_id
  std::string key_file;
  friend bool operator==(const OwnerTag&, const OwnerTag&) = default;
};

struct DomainSettings {
  std::string name;
  std::string network;
  bool hardware_virtualization = false;
  std::string key_file;
  OwnerTag owner;
};

/// `text` for an XML attribute or element; control characters, which XML cannot hold, become '?'.
std::string escape_xml(std::string_view text);

/// The whole domain. q35 with qboot, direct kernel, one virtio NIC on bus 0 with a queue pair per core, no legacy.
std::string domain_xml(const NodeSpec& spec, const DomainSettings& settings);

/// The element that libvirt stores as our metadata, and back; malformed if it is not ours.
std::string owner_xml(const OwnerTag& owner);
Result<OwnerTag> parse_owner_xml(std::string_view xml);

/// This process, and whether the owner of a tag still runs on this boot of this machine.
OwnerTag current_owner();
bool is_alive(const OwnerTag& owner);

}  // namespace ebb::frontend::nodes
