// The command `ebb`: looks at running front ends and cleans up after dead ones.
// Exit status: 0 done, 1 it did not work (one line on stderr says why), 2 and above: wrong usage (CLI11's numbers).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "frontend/cli/client.h"
#include "frontend/nodes/libvirt/libvirt_driver.h"

namespace {

using namespace ebb;

Result<void> clean_host(const std::string& uri) {
  frontend::nodes::LibvirtSettings settings;
  settings.uri = uri;
  auto cleaned = frontend::nodes::clean_libvirt_host(settings);
  if (!cleaned) return std::move(cleaned).error();
  std::printf("removed %zu nodes that dead front ends left\n", *cleaned);
  return {};
}

Result<void> ask(Result<void> (*command)(const std::string&, bool), const std::string& wanted, bool json) {
  auto address = frontend::cli::choose_front_end(wanted);
  if (!address) return std::move(address).error();
  return command(*address, json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Looks at MultiLibOS clusters and cleans up after them.", "ebb"};
  app.require_subcommand(1);
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
  auto* nodes = asking("nodes", "list the nodes of a running front end");
  auto* objects = asking("objects", "list the objects that its directory knows");
  auto* watch = asking("watch", "print each change of the membership");
  auto* clean = app.add_subcommand("host-clean", "remove what dead front ends left on this host");
  clean->add_option("--uri", uri, "libvirt's address")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  Result<void> done;
  if (nodes->parsed()) done = ask(frontend::cli::print_nodes, address, json);
  if (objects->parsed()) done = ask(frontend::cli::print_objects, address, json);
  if (watch->parsed()) done = ask(frontend::cli::watch, address, json);
  if (clean->parsed()) done = clean_host(uri);
  if (done) return 0;
  std::fprintf(stderr, "ebb: %s\n", done.error().text().c_str());
  return 1;
}
