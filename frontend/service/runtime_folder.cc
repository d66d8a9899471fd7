// Finds and makes the folder of sockets.
#include "frontend/service/runtime_folder.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

namespace ebb::frontend::service {

namespace fs = std::filesystem;

fs::path runtime_folder() {
  if (::geteuid() == 0) return "/run/multilibos/sockets";
  const char* own = std::getenv("XDG_RUNTIME_DIR");
  if (own != nullptr && *own == '/') return fs::path(own) / "multilibos";
  return "/tmp/multilibos-" + std::to_string(::geteuid());
}

Result<fs::path> make_runtime_folder() {
  const fs::path folder = runtime_folder();
  std::error_code ignored;
  fs::create_directories(folder.parent_path(), ignored);
  const int failed = ::mkdir(folder.c_str(), 0700) == 0 ? 0 : errno;
  const std::string advice = ::geteuid() == 0 ? "" : "; or set XDG_RUNTIME_DIR to a folder of yours";
  const std::string name = "the folder for sockets, '" + folder.string() + "', ";
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0) {
    return Error(Errc::permission_denied, name + "cannot be made: " + std::strerror(failed != 0 ? failed : errno) +
                                              "; remove what stands in its way" + advice);
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid()) {
    return Error(Errc::permission_denied, name + "is no folder or belongs to another user: remove it" + advice);
  }
  if (::chmod(folder.c_str(), 0700) != 0) {
    return Error(Errc::permission_denied, name + "cannot be closed to other users: " + std::strerror(errno));
  }
  return folder;
}

fs::path socket_path(const fs::path& folder, int pid) { return folder / (std::to_string(pid) + ".sock"); }

std::vector<fs::path> running_front_ends() {
  std::vector<fs::path> result;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(runtime_folder(), error)) {
    if (entry.path().extension() != ".sock") continue;
    const std::string name = entry.path().stem().string();
    int pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size() || pid <= 0) continue;
    if (::kill(pid, 0) == 0 || errno == EPERM) {
      result.push_back(entry.path());
    } else {
      fs::remove(entry.path(), error);
    }
  }
  return result;
}

}  // namespace ebb::frontend::service
