// The command `ebb`: runs applications, looks at running front ends and cleans up after dead ones.
// Exit status: 0 done, 1 it did not work, 2 wrong usage, each with one line on stderr that says why; of `ebb run` that of the
// program, once it runs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/cli/client.h"
#include "frontend/cli/run.h"
#include "frontend/nodes/libvirt/libvirt_driver.h"
#include "frontend/program/options.h"
#include "frontend/service/runtime_folder.h"

namespace {

using namespace ebb;

Result<void> clean_host(const std::string& uri) {
  frontend::nodes::LibvirtSettings settings;
  settings.uri = uri;
  auto cleaned = frontend::nodes::clean_libvirt_host(settings);
  if (!cleaned) return std::move(cleaned).error();
  static_cast<void>(frontend::service::running_front_ends());  // removes the sockets of dead ones
  using Network = frontend::nodes::CleanedHost::Network;
  const char* network = cleaned->network == Network::removed  ? "and the network with its bridge and DHCP server"
                        : cleaned->network == Network::in_use ? "and no network: a front end uses it"
                                                              : "and no network: there is none";
  std::printf("removed %zu nodes and %zu key files that dead front ends left, %s\n", cleaned->nodes, cleaned->key_files, network);
  return {};
}

Result<void> ask(Result<void> (*command)(const std::string&, bool), const std::string& wanted, bool json) {
  auto address = frontend::cli::choose_front_end(wanted);
  if (!address) return std::move(address).error();
  return command(*address, json);
}

Result<void> show_traces(const std::string& wanted, const std::string& id, std::optional<std::uint32_t> sampling, bool json) {
  auto address = frontend::cli::choose_front_end(wanted);
  if (!address) return std::move(address).error();
  if (sampling) return frontend::cli::set_sampling(*address, *sampling);
  return id.empty() ? frontend::cli::print_traces(*address, json) : frontend::cli::print_trace(*address, id, json);
}

/// What a trace's id may begin with; the front end looks no others up, and what is no text cannot be asked for.
std::string check_digits(const std::string& id) {
  const bool digits = std::all_of(id.begin(), id.end(), [](unsigned char digit) { return std::isxdigit(digit) != 0; });
  return digits && id.size() <= 32 ? std::string() : "give the first of its hexadecimal digits, as `ebb trace` lists them";
}

std::string command_names(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return names;
}

/// `word`: the first that is no option, which should have been a command; empty if there is none.
int wrong_usage(const CLI::App& app, const CLI::ParseError& error, const std::string& word) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const auto commands = app.get_subcommands();
  if (!commands.empty()) {
    std::fprintf(stderr, "ebb: %s; see `ebb %s --help`\n", error.what(), commands.front()->get_name().c_str());
  } else if (word.empty()) {
    std::fprintf(stderr, "ebb: %s; name a command: %s; see `ebb --help`\n", error.what(), command_names(app).c_str());
  } else {
    std::fprintf(stderr, "ebb: there is no command '%s'; there are: %s; see `ebb --help`\n", word.c_str(), command_names(app).c_str());
  }
  return 2;
}

/// What is wrong with the options for a program's front end, in the words of `ebb run`; empty if nothing is.
std::string wrong_options(const std::vector<std::string>& options) {
  std::vector<const char*> words{"ebb"};
  for (const std::string& option : options) words.push_back(option.c_str());
  const auto parsed = frontend::parse_options(static_cast<int>(words.size()), words.data());
  if (parsed) return {};
  std::string text = parsed.error().text();
  constexpr std::string_view kPrefix = "--ebb-";
  for (auto at = text.find(kPrefix); at != std::string::npos; at = text.find(kPrefix, at)) text.replace(at, kPrefix.size(), "--");
  constexpr std::string_view kHelp = "; --help tells more";
  if (text.ends_with(kHelp)) text.replace(text.size() - kHelp.size(), kHelp.size(), "; see `ebb run --help`");
  return text;
}

/// Turns a command that could not print all into one that failed.
Result<void> check_output(Result<void> done) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return done;
  const int problem = errno;
  if (!done) return done;
  return Error(Errc::resource_exhausted, std::string("cannot write to the standard output") +
                                             (problem != 0 ? std::string(": ") + std::strerror(problem) : std::string()));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs MultiLibOS applications, looks at their clusters and cleans up after them.", "ebb"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "ebb " EBB_VERSION, "print the version of MultiLibOS and end");
  std::string address;
  std::string uri = "qemu:///system";
  bool json = false;
  auto asking = [&](const char* name, const char* description) {
    auto* command = app.add_subcommand(name, description);
    command->add_option("--frontend", address, "the front end's address: unix:/path or host:port (default: the one "
                                               "that runs)");
    command->add_flag("--json", json, "print JSON");
    return command;
  };
  frontend::cli::RunSettings run;
  auto* running = app.add_subcommand("run", "run an application; its own options come after --");
  running->add_option("program", run.program, "the application")->required();
  running->add_option("arguments", run.arguments, "what the application gets");
  auto pass_on = [&](const char* name, const char* type, const char* description) {
    running->add_option_function<std::string>(std::string("--") + name, [&run, name](const std::string& value) {
      run.options.push_back(std::string("--ebb-") + name + "=" + value);
      if (std::string_view(name) == "driver") run.driver = value;
      if (std::string_view(name) == "uri") run.uri = value;
    }, description)->type_name(type);
  };
  pass_on("backends", "N", "how many backends it is to start");
  pass_on("cores", "M", "cores of each backend");
  pass_on("driver", "D", "process (Linux processes) or libvirt (bare-metal machines)");
  pass_on("image", "FILE", "what backends run (default: the program; for libvirt, it with .elf behind)");
  pass_on("memory", "MIB", "memory of each machine");
  pass_on("grpc", "ADDRESS", "serve gRPC on this TCP address too");
  pass_on("directory", "FILE", "keep the directory of objects in FILE");
  pass_on("uri", "URI", "libvirt's address");
  pass_on("trace", "PPM", "trace so many of a million calls");
  pass_on("otlp", "ADDRESS", "send spans and histograms to this OpenTelemetry collector");
  pass_on("drain", "SECONDS", "how long objects may take to end before nodes are stopped; 0: in no order");
  running->add_flag_callback("--quiet", [&run] { run.options.push_back("--ebb-quiet"); },
                             "print neither progress nor what backends print");
  auto* nodes = asking("nodes", "list the nodes of a running front end");
  auto* objects = asking("objects", "list the objects that its directory knows");
  auto* watch = asking("watch", "print each change of the membership");
  auto* trace = asking("trace", "list the calls that were traced, or show one as a tree");
  std::string trace_id;
  std::optional<std::uint32_t> sampling;
  auto* id = trace->add_option("id", trace_id, "the first digits of a trace's id")->check(check_digits);
  trace->add_option("--sample", sampling, "from now on trace so many of a million calls (0: none)")
      ->check(CLI::Range(0, 1'000'000))->excludes(id);
  auto* methods = asking("methods", "show how long each method takes, over all nodes");
  auto* clean = app.add_subcommand("host-clean", "remove what dead front ends left on this host");
  clean->add_option("--uri", uri, "libvirt's address")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const auto word = std::find_if(argv + 1, argv + argc, [](const char* argument) { return *argument != '-'; });
    if (word != argv + argc && std::string_view(*word) == "help") {
      std::fputs(app.help().c_str(), stdout);
      return 0;
    }
    return wrong_usage(app, error, word == argv + argc ? "" : *word);
  }

  Result<void> done;
  if (running->parsed()) {
    if (const std::string wrong = wrong_options(run.options); !wrong.empty()) {
      std::fprintf(stderr, "ebb: %s\n", wrong.c_str());
      return 2;
    }
    auto ended = frontend::cli::run_program(run);
    if (ended) return *ended;
    done = std::move(ended).error();
  }
  if (nodes->parsed()) done = ask(frontend::cli::print_nodes, address, json);
  if (objects->parsed()) done = ask(frontend::cli::print_objects, address, json);
  if (watch->parsed()) done = ask(frontend::cli::watch, address, json);
  if (methods->parsed()) done = ask(frontend::cli::print_methods, address, json);
  if (trace->parsed()) done = show_traces(address, trace_id, sampling, json);
  if (clean->parsed()) done = clean_host(uri);
  done = check_output(std::move(done));
  if (done) return 0;
  std::fprintf(stderr, "ebb: %s\n", done.error().text().c_str());
  return 1;
}
