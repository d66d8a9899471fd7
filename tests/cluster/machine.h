// The process behind a node, whichever driver runs it: its own, or the QEMU that is its machine.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "ebb/application.h"

namespace ebb::test {

/// Of a backend of this front end on this host, which itself says that its process is `told`; 0 if its machine has none. As
/// bare_metal_test.py looks for it.
inline std::int32_t process_of(const NodeStatus& node, std::int32_t told) {
  if (node.driver != "libvirt") return told;
  const std::string name = "guest=multilibos-" + std::to_string(::getpid()) + "-" + std::to_string(to_number(node.id)) + ",";
  std::error_code ignored;
  for (const auto& folder : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string id = folder.path().filename();
    if (id.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(folder.path() / "cmdline");
    const std::string words((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (words.find(name) != std::string::npos) return std::stoi(id);
  }
  return 0;
}

}  // namespace ebb::test
