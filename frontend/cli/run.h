// `ebb run`: starts an application with options for its front end, and stays until it has ended.
#pragma once

#include <string>
#include <vector>

#include "ebb/base/result.h"

namespace ebb::frontend::cli {

struct RunSettings {
  std::string program;
  std::vector<std::string> options;    ///< for its front end: "--ebb-backends=3"
  std::vector<std::string> arguments;  ///< for the application
  std::string driver;                  ///< empty: the program's default
  std::string uri = "qemu:///system";
};

/// Runs the program to its end and returns its exit status, 128 + signal if a signal ended it; after such a status
/// what it left on this host is removed. SIGINT, SIGTERM and SIGHUP are passed on to it. Errors: not_found,
/// permission_denied (it cannot be executed), resource_exhausted (no process for it).
Result<int> run_program(const RunSettings& settings);

}  // namespace ebb::frontend::cli
