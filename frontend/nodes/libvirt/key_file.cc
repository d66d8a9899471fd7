// Makes and removes key files. A name holds the owner's process id and start time, so a dead owner's file is known.
#include "frontend/nodes/libvirt/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "frontend/nodes/libvirt/domain_xml.h"

namespace ebb::frontend::nodes {

namespace fs = std::filesystem;

fs::path key_folder() {
  if (::geteuid() == 0) return "/run/multilibos/keys";
  // XDG_RUNTIME_DIR is closed to QEMU's user, /var/tmp is not.
  return "/var/tmp/multilibos-" + std::to_string(::geteuid());
}

Result<KeyFile> KeyFile::create(NodeId node, const ClusterKey& key) {
  const fs::path folder = key_folder();
  std::error_code ignored;
  fs::create_directories(folder.parent_path(), ignored);
  if (::mkdir(folder.c_str(), 0711) == 0) ::chmod(folder.c_str(), 0711);
  struct stat status {};
  // In a shared folder another user could have made ours first.
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid()) {
    return Error(Errc::permission_denied, "the folder for node keys, '" + folder.string() +
                                              "', cannot be made or belongs to another user: remove it");
  }
  const OwnerTag owner = current_owner();
  const fs::path path = folder / (std::string(kKeyFilePrefix) + std::to_string(owner.pid) + "-" +
                                  std::to_string(owner.start_time) + "-" + std::to_string(to_number(node)));
  ::unlink(path.c_str());
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) {
    return Error(Errc::permission_denied, "cannot write the key of a node to '" + path.string() + "': " +
                                              std::strerror(errno));
  }
  KeyFile result(path);
  const bool written = ::write(file, key.data(), key.size()) == static_cast<ssize_t>(key.size());
  ::close(file);
  if (!written) return Error(Errc::resource_exhausted, "no space for the key of a node in '" + folder.string() + "'");
  return result;
}

KeyFile::~KeyFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void remove_own_key_files() {
  const std::string own = std::string(kKeyFilePrefix) + std::to_string(::getpid()) + "-";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(key_folder(), error)) {
    if (entry.path().filename().string().starts_with(own)) fs::remove(entry.path(), error);
  }
}

std::size_t remove_stale_key_files() {
  std::size_t removed = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(key_folder(), error)) {
    OwnerTag owner = current_owner();
    unsigned long long start_time = 0;
    long long pid = 0;
    const std::string name = entry.path().filename().string();
    if (std::sscanf(name.c_str(), "key-%lld-%llu-", &pid, &start_time) != 2) continue;
    owner.pid = pid;
    owner.start_time = start_time;
    if (!is_alive(owner) && fs::remove(entry.path(), error)) ++removed;
  }
  return removed;
}

}  // namespace ebb::frontend::nodes
