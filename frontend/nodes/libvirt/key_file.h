// The file that carries a node's key into its domain, as a boot module.
#pragma once

#include <cstddef>
#include <filesystem>

#include "frontend/nodes/driver.h"

namespace ebb::frontend::nodes {

/// Where key files lie: names start with kKeyFilePrefix. The folder can be passed through by QEMU's user, not listed.
std::filesystem::path key_folder();
inline constexpr std::string_view kKeyFilePrefix = "key-";

/// A new file of mode 0600 with the key; removed with this object. libvirt hands it to QEMU's user by itself.
class KeyFile {
 public:
  static Result<KeyFile> create(NodeId node, const ClusterKey& key);
  KeyFile(KeyFile&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  KeyFile& operator=(KeyFile&& other) noexcept {
    path_.swap(other.path_);
    return *this;
  }
  ~KeyFile();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  explicit KeyFile(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// Removes the key files of this process, for one that ends without destroying its driver. Any thread.
void remove_own_key_files();

/// Removes key files that belong to processes which no longer run; how many.
std::size_t remove_stale_key_files();

}  // namespace ebb::frontend::nodes
