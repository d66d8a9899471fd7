// Finds our domains by their metadata.
#include "frontend/nodes/libvirt/leftovers.h"

#include <cstdlib>
#include <optional>
#include <vector>

#include "frontend/nodes/libvirt/domain_xml.h"
#include "frontend/nodes/libvirt/key_file.h"

namespace ebb::frontend::nodes {
namespace {

std::vector<DomainPtr> active_domains(virConnectPtr connection) {
  std::vector<DomainPtr> result;
  virDomainPtr* list = nullptr;
  const int count = virConnectListAllDomains(connection, &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
  for (int i = 0; i < count; ++i) result.emplace_back(list[i]);
  std::free(list);
  return result;
}

std::optional<OwnerTag> owner_of(virDomainPtr domain) {
  char* xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, std::string(kMetadataUri).c_str(), 0);
  if (xml == nullptr) return std::nullopt;
  auto owner = parse_owner_xml(xml);
  std::free(xml);
  return owner ? std::optional(*owner) : std::nullopt;
}

}  // namespace

std::size_t count_our_domains(virConnectPtr connection) {
  std::size_t count = 0;
  for (const auto& domain : active_domains(connection)) count += owner_of(domain.get()).has_value() ? 1 : 0;
  return count;
}

Leftovers reap_leftovers(virConnectPtr connection) {
  Leftovers reaped;
  for (const auto& domain : active_domains(connection)) {
    const auto owner = owner_of(domain.get());
    if (owner && !is_alive(*owner) && virDomainDestroy(domain.get()) == 0) ++reaped.nodes;
  }
  // By name, not by the tag's path: what stands in a domain's XML must not choose which file root removes.
  reaped.key_files = remove_stale_key_files();
  return reaped;
}

}  // namespace ebb::frontend::nodes
