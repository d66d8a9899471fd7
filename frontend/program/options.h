// The front end's own command line: what starts with --ebb-.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/application.h"
#include "ebb/base/result.h"

namespace ebb::frontend {

struct Options {
  bool help = false;
  bool quiet = false;             ///< no progress, nothing of what nodes print
  cluster_options cluster;        ///< backends, cores of each, driver
  std::string image;              ///< empty: this program itself (process), or it with ".elf" behind (libvirt)
  std::size_t memory_mib = 128;   ///< of each backend, libvirt only
  std::size_t frontend_cores = 0; ///< 0: as many as there are, at most kMostDefaultCores
  std::string grpc;               ///< a TCP address to serve besides the socket; empty: none
  std::size_t trace_per_million = 0;   ///< of the calls that begin no trace otherwise
  std::string otlp;               ///< "host:port" of a collector that gets the spans; empty: none
  std::string directory;          ///< a file; empty: in memory
  std::size_t drain_seconds = 10; ///< that the objects have at the end; 0: they end with their nodes, in no order
  std::string uri = "qemu:///system";
  std::vector<std::string> arguments;  ///< the program's name and what is the application's
};

inline constexpr std::size_t kMostDefaultCores = 4;
inline constexpr std::size_t kMostDrainSeconds = 600;
inline constexpr std::size_t kMostMemoryMib = std::size_t{1} << 20;

/// Sorts the arguments. What does not start with "--ebb-", and everything behind "--", is the application's.
/// invalid_argument names the argument that is wrong and what it takes.
Result<Options> parse_options(int argc, const char* const* argv);

/// True for "--ebb-role=node" anywhere before "--": the process is a node and no front end.
bool is_node(int argc, const char* const* argv) noexcept;

/// What --ebb-help prints.
std::string_view options_help() noexcept;

}  // namespace ebb::frontend
