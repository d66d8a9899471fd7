// Where running front ends have their sockets.
#pragma once

#include <filesystem>
#include <vector>

#include "ebb/base/result.h"

namespace ebb::frontend::service {

/// /run/multilibos for root, else $XDG_RUNTIME_DIR/multilibos, else /tmp/multilibos-UID. Not made yet.
std::filesystem::path runtime_folder();

/// Makes it if need be, for this user only (0700); permission_denied if it belongs to somebody else.
Result<std::filesystem::path> make_runtime_folder();

/// The socket of the front end that is process `pid`.
std::filesystem::path socket_path(const std::filesystem::path& folder, int pid);

/// Sockets of front ends that run; those of dead ones are removed.
std::vector<std::filesystem::path> running_front_ends();

}  // namespace ebb::frontend::service
