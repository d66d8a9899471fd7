#include "frontend/nodes/libvirt/network_use.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

namespace ebb::frontend::nodes {
namespace {

constexpr auto kShareLimit = std::chrono::seconds(15);
constexpr auto kShareStep = std::chrono::milliseconds(20);

/// The file is never removed: two that lock different files under one name would not see each other.
std::string path_of(const std::string& network) {
  std::error_code error;
  const char* folder = std::filesystem::is_directory("/run/lock", error) ? "/run/lock" : "/tmp";
  return std::string(folder) + "/multilibos-network-" + network;
}

}  // namespace

Result<NetworkUse> NetworkUse::look(const std::string& network) {
  const std::string path = path_of(network);
  // A lock needs no right to write; where the file is somebody else's, a folder for all lets nobody open it to create it.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  int file = ::open(path.c_str(), kFlags);
  if (file < 0 && errno == ENOENT) file = ::open(path.c_str(), kFlags | O_CREAT | O_EXCL, 0644);
  if (file < 0 && errno == EEXIST) file = ::open(path.c_str(), kFlags);
  if (file < 0) {
    return Error(Errc::permission_denied, "cannot open '" + path + "', which says who uses the nodes' network: " +
                                              std::strerror(errno) + "; remove it, or give everybody the right to read it");
  }
  return NetworkUse(file);
}

Result<NetworkUse> NetworkUse::share(const std::string& network) {
  auto use = look(network);
  if (!use) return use;
  const auto end = std::chrono::steady_clock::now() + kShareLimit;
  while (::flock(use->file_, LOCK_SH | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (std::chrono::steady_clock::now() > end) {
      return Error(Errc::unavailable, "another process has locked '" + path_of(network) +
                                          "' for 15 s, as one that removes the nodes' network does for a moment; `fuser " +
                                          path_of(network) + "` names it: end it");
    }
    std::this_thread::sleep_for(kShareStep);
  }
  return use;
}

NetworkUse::~NetworkUse() {
  if (file_ >= 0) ::close(file_);
}

bool NetworkUse::is_last() {
  // Two that ask at once: each gives its share up before it asks, so that one of them is the last.
  return ::flock(file_, LOCK_EX | LOCK_NB) == 0;
}

}  // namespace ebb::frontend::nodes
