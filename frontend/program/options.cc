#include "frontend/program/options.h"

#include <charconv>

#include "ebb/node.h"

namespace ebb::frontend {
namespace {

constexpr std::string_view kPrefix = "--ebb-";

Error wrong(std::string_view argument, const std::string& takes) {
  return Error(Errc::invalid_argument, "'" + std::string(argument) + "' is wrong: it takes " + takes + "; --ebb-help tells more");
}

template <class Number>
Result<void> take_number(std::string_view argument, std::string_view value, Number least, Number most, Number& place) {
  Number number{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < least || number > most) {
    return wrong(argument, "a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  place = number;
  return {};
}

Result<void> take_text(std::string_view argument, std::string_view value, const char* takes, std::string& place) {
  if (value.empty()) return wrong(argument, takes);
  place = value;
  return {};
}

/// host:port, an IPv6 address in brackets, or unix:/path. gRPC takes much else and then listens, or calls, somewhere else.
bool is_address(std::string_view value) {
  if (value.starts_with("unix:/")) return value.size() > 6;
  const std::size_t colon = value.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = value.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of(":/[] ") != std::string_view::npos) return false;
  std::uint16_t port = 0;
  return static_cast<bool>(take_number<std::uint16_t>("", value.substr(colon + 1), 1, 65535, port));
}

Result<void> take_address(std::string_view argument, std::string_view value, const char* example, std::string& place) {
  if (!is_address(value)) {
    return wrong(argument, std::string("host:port with a port from 1 to 65535, such as ") + example + ", or unix:/path");
  }
  place = value;
  return {};
}

Result<void> take(std::string_view argument, Options& options) {
  const std::size_t equals = argument.find('=');
  const bool has_value = equals != std::string_view::npos;
  const std::string_view name = argument.substr(kPrefix.size(), has_value ? equals - kPrefix.size() : equals);
  const std::string_view value = has_value ? argument.substr(equals + 1) : std::string_view();
  if (name == "help" && !has_value) {
    options.help = true;
    return {};
  }
  if (name == "quiet" && !has_value) {
    options.quiet = true;
    return {};
  }
  if (name == "backends") return take_number<std::size_t>(argument, value, 0, kMaxNodes - 1, options.cluster.backends);
  if (name == "cores") return take_number<std::uint16_t>(argument, value, 1, kMaxCores, options.cluster.cores);
  if (name == "memory") return take_number<std::size_t>(argument, value, 32, kMostMemoryMib, options.memory_mib);
  if (name == "frontend-cores") return take_number<std::size_t>(argument, value, 1, kMaxCores, options.frontend_cores);
  if (name == "drain") return take_number<std::size_t>(argument, value, 0, kMostDrainSeconds, options.drain_seconds);
  if (name == "image") return take_text(argument, value, "a file", options.image);
  if (name == "grpc") return take_address(argument, value, "127.0.0.1:50051", options.grpc);
  if (name == "directory") return take_text(argument, value, "a file", options.directory);
  if (name == "trace") return take_number<std::size_t>(argument, value, 0, 1'000'000, options.trace_per_million);
  if (name == "otlp") return take_address(argument, value, "127.0.0.1:4317", options.otlp);
  if (name == "uri") return take_text(argument, value, "a libvirt address such as qemu:///system", options.uri);
  if (name == "driver") {
    if (value != "process" && value != "libvirt") return wrong(argument, "process or libvirt");
    options.cluster.driver = value;
    return {};
  }
  return Error(Errc::invalid_argument,
               "there is no option '" + std::string(argument) + "'; --ebb-help lists those there are");
}

}  // namespace

Result<Options> parse_options(int argc, const char* const* argv) {
  Options options;
  if (argc > 0) options.arguments.emplace_back(argv[0]);
  bool ours = true;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") ours = false;
    if (ours && argument.starts_with(kPrefix)) {
      if (auto taken = take(argument, options); !taken) return std::move(taken).error();
    } else {
      options.arguments.emplace_back(argument);
    }
  }
  return options;
}

bool is_node(int argc, const char* const* argv) noexcept {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") return false;
    if (argument == "--ebb-role=node") return true;
  }
  return false;
}

std::string_view options_help() noexcept {
  return "Options of the MultiLibOS front end; all other arguments, and all behind --, are the application's:\n"
         "  --ebb-backends=N         how many backends the application is to start (default 0)\n"
         "  --ebb-cores=M            cores of each backend (default 2)\n"
         "  --ebb-driver=D           process: Linux processes (default); libvirt: bare-metal machines\n"
         "  --ebb-image=FILE         what backends run (default: this program; for libvirt, it with .elf behind)\n"
         "  --ebb-memory=MIB         memory of each machine (default 128)\n"
         "  --ebb-frontend-cores=N   event loops of this process (default: one for each CPU, at most 4)\n"
         "  --ebb-grpc=ADDRESS       serve gRPC on this TCP address too; anyone who reaches it may add and remove nodes\n"
         "  --ebb-directory=FILE     keep the directory of objects in FILE (default: in memory)\n"
         "  --ebb-trace=PPM          trace so many of a million calls (default 0; `ebb trace` shows them)\n"
         "  --ebb-otlp=ADDRESS       send spans and histograms to this OpenTelemetry collector (gRPC, not encrypted)\n"
         "  --ebb-drain=SECONDS      how long objects may take to end, newest first, before nodes are stopped (default 10; 0: in no order)\n"
         "  --ebb-uri=URI            libvirt's address (default qemu:///system)\n"
         "  --ebb-quiet              print neither progress nor what backends print\n"
         "  --ebb-help               print this\n";
}

}  // namespace ebb::frontend
