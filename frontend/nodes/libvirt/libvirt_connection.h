// One connection to libvirt and the thread that runs its events. Only this folder includes libvirt.
#pragma once

#include <libvirt/libvirt.h>

#include <memory>
#include <string>

#include "ebb/base/result.h"

namespace ebb::frontend::nodes {

template <class T, int (*kFree)(T*)>
struct LibvirtFree {
  void operator()(T* object) const noexcept { kFree(object); }
};
using ConnectionPtr = std::unique_ptr<virConnect, LibvirtFree<virConnect, virConnectClose>>;
using DomainPtr = std::unique_ptr<virDomain, LibvirtFree<virDomain, virDomainFree>>;
using NetworkPtr = std::unique_ptr<virNetwork, LibvirtFree<virNetwork, virNetworkFree>>;
using StreamPtr = std::unique_ptr<virStream, LibvirtFree<virStream, virStreamFree>>;

/// The calling thread's last libvirt error as one of ours, after `what` ("cannot start node 3").
Error libvirt_error(const std::string& what);

/// Connects within kConnectLimit; starts the event loop's thread the first time (it runs until the process ends, as
/// libvirt has no way to undo it). unavailable: no daemon or no answer; permission_denied: no right.
Result<ConnectionPtr> connect_to_libvirt(const std::string& uri);

}  // namespace ebb::frontend::nodes
