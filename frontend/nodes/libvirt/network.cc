// Ensures and removes the cluster's network.
#include "frontend/nodes/libvirt/network.h"

#include <cstdlib>
#include <string_view>

#include "ebb/platform/stream.h"
#include "frontend/nodes/libvirt/domain_xml.h"
#include "frontend/nodes/libvirt/leftovers.h"

namespace ebb::frontend::nodes {
namespace {

std::string dotted(std::uint32_t address) {
  const std::string text = platform::to_string(platform::Endpoint{address, 0});
  return text.substr(0, text.find(':'));
}

bool is_running(virConnectPtr connection, const std::string& name) {
  NetworkPtr network(virNetworkLookupByName(connection, name.c_str()));
  return network != nullptr && virNetworkIsActive(network.get()) == 1;
}

/// The libvirt network whose bridge `interface` is; empty if there is none.
std::string network_of_bridge(virConnectPtr connection, const std::string& interface) {
  std::string found;
  virNetworkPtr* list = nullptr;
  const int count = virConnectListAllNetworks(connection, &list, VIR_CONNECT_LIST_NETWORKS_ACTIVE);
  for (int i = 0; i < count; ++i) {
    const NetworkPtr network(list[i]);
    char* bridge = virNetworkGetBridgeName(network.get());
    if (bridge != nullptr && interface == bridge) found = virNetworkGetName(network.get());
    std::free(bridge);
  }
  std::free(list);
  return found;
}

/// What to do about a name or a subnet that is taken, for behind libvirt's `text`; empty if that is not why.
std::string how_to_free(virConnectPtr connection, const NetworkSettings& settings, const std::string& text) {
  constexpr std::string_view kSubnetTaken = "already in use by interface ";
  std::string interface = settings.bridge;
  std::string what = "an interface has the name " + settings.bridge;
  if (const auto found = text.find(kSubnetTaken); found != std::string::npos) {
    interface = text.substr(found + kSubnetTaken.size());
    interface = interface.substr(0, interface.find_first_of(" ,;\n"));
    what = interface + " has addresses of " + dotted(settings.address & 0xffff'ff00) + "/24, which nodes need";
  } else if (text.find("already in use") == std::string::npos && text.find("File exists") == std::string::npos) {
    return {};
  }
  const std::string owner = network_of_bridge(connection, interface);
  if (!owner.empty()) return "; " + what + ": `virsh net-destroy " + owner + "` frees them";
  if (interface != settings.bridge) return "; " + what + ": give it others, or `ip link del " + interface + "` if nobody uses it";
  return "; " + what + ": `ip link del " + interface + "` removes it";
}

}  // namespace

std::string network_xml(const NetworkSettings& settings) {
  const std::uint32_t subnet = settings.address & 0xffff'ff00;
  // Without no-ping each lease waits 3 s for a conflict, which a network of our own nodes does not have.
  return "<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><name>" + escape_xml(settings.name) + "</name><bridge name='" + escape_xml(settings.bridge) +
         "' stp='off' delay='0'/><ip address='" + dotted(settings.address) +
         "' netmask='255.255.255.0'><dhcp><range start='" + dotted(subnet | 2) + "' end='" + dotted(subnet | 254) +
         "'/></dhcp></ip><dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options></network>";
}

Result<void> ensure_network(virConnectPtr connection, const NetworkSettings& settings) {
  if (is_running(connection, settings.name)) return {};
  NetworkPtr made(virNetworkCreateXML(connection, network_xml(settings).c_str()));
  if (made != nullptr) return {};
  const Error error = libvirt_error("cannot make the network '" + settings.name + "'");
  if (is_running(connection, settings.name)) return {};  // another front end was faster
  const std::string advice = how_to_free(connection, settings, error.text());
  return Error(advice.empty() ? error.code() : Errc::address_in_use, error.text() + advice);
}

Result<bool> remove_network_if_unused(virConnectPtr connection, const NetworkSettings& settings) {
  NetworkPtr network(virNetworkLookupByName(connection, settings.name.c_str()));
  if (network == nullptr || count_our_domains(connection) != 0) return false;
  if (virNetworkDestroy(network.get()) != 0) return libvirt_error("cannot remove the network '" + settings.name + "'");
  return true;
}

}  // namespace ebb::frontend::nodes
