// main() of every application: a node if started as one, else a front end.
#include <cstdio>

#include "ebb/backend.h"
#include "ebb/platform/hosted.h"
#include "frontend/program/front_end.h"
#include "frontend/program/options.h"

int main(int argc, char** argv) {
  ebb::platform::hosted::raise_file_limit();
  // First of all: a node needs nothing of what follows, and must start fast.
  if (ebb::frontend::is_node(argc, argv)) return ebb::run_backend(argc, argv);
  const auto options = ebb::frontend::parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "ebb: %s\n", options.error().text().c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(ebb::frontend::options_help().data(), stdout);
    return 0;
  }
  const int status = ebb::frontend::run_front_end(*options);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fputs("ebb: the standard output did not take everything; look for a full disk or a reader that is gone\n", stderr);
  return status != 0 ? status : 1;
}
