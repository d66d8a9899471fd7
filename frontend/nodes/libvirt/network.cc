// Ensures and removes the cluster's network.
#include "frontend/nodes/libvirt/network.h"

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

}  // namespace

std::string network_xml(const NetworkSettings& settings) {
  const std::uint32_t subnet = settings.address & 0xffff'ff00;
  // Without no-ping each lease waits 3 s for a conflict, which a network of our own nodes does not have.
  return "<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><name>" + escape_xml(settings.name) + "</name><bridge name='" + escape_xml(settings.bridge) +
         "' stp='off' delay='0'/><ip address='" + dotted(settings.address) +
         "' netmask='255.255.255.0'><dhcp><range start='" + dotted(subnet | 2) + "' end='" + dotted(subnet | 254) +
         "'/></dhcp></ip><dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options></network>";
}

Result<bool> ensure_network(virConnectPtr connection, const NetworkSettings& settings) {
  if (is_running(connection, settings.name)) return false;
  NetworkPtr made(virNetworkCreateXML(connection, network_xml(settings).c_str()));
  if (made != nullptr) return true;
  Error error = libvirt_error("cannot make the network '" + settings.name + "'");
  if (is_running(connection, settings.name)) return false;  // another front end was faster
  if (error.text().find("already in use") != std::string::npos) {
    return Error(Errc::address_in_use, error.text() + "; choose another subnet for the nodes");
  }
  return error;
}

Result<void> remove_network_if_unused(virConnectPtr connection, const NetworkSettings& settings) {
  NetworkPtr network(virNetworkLookupByName(connection, settings.name.c_str()));
  if (network == nullptr || count_our_domains(connection) != 0) return {};
  if (virNetworkDestroy(network.get()) != 0) return libvirt_error("cannot remove the network '" + settings.name + "'");
  return {};
}

}  // namespace ebb::frontend::nodes
