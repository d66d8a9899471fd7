// Who uses the network: front ends, also those that run no node yet.
#pragma once

#include <string>
#include <utility>

#include "ebb/base/result.h"

namespace ebb::frontend::nodes {

/// A share in a network, by a lock on a file that all users of this machine share; it ends with the process at the latest.
/// While somebody holds one, nobody is the last, and while the last one lives, nobody gets a share: so no network goes away
/// between the moment a front end finds it and the moment it uses it.
class NetworkUse {
 public:
  /// Takes a share; waits up to 15 s while another front end or `ebb host-clean` removes the network.
  static Result<NetworkUse> share(const std::string& network);
  /// For whoever wants none and only asks whether somebody has one.
  static Result<NetworkUse> look(const std::string& network);

  NetworkUse(NetworkUse&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  NetworkUse& operator=(NetworkUse&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~NetworkUse();

  /// Gives the share up. True if nobody else has one; then nobody gets one before this object's end.
  bool is_last();

 private:
  explicit NetworkUse(int file) : file_(file) {}
  int file_;
};

}  // namespace ebb::frontend::nodes
