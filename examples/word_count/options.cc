#include "options.h"

using ebb::Errc;
using ebb::Error;

const char* const kUsage =
    "usage: word_count [--json OUT] FILE [--ebb-backends=N --ebb-cores=M --ebb-driver=libvirt|process]\n"
    "Counts the words of FILE with one distributed object on all cores of N backends (default: on the front end itself).\n"
    "A word is a maximal run of ASCII letters, folded to lower case. --json also writes the outcome to OUT. The table of\n"
    "all words may take 256 MiB. --ebb-help lists the options of every application.\n";

ebb::Result<Options> parse_options(std::span<const std::string> arguments) {
  Options options;
  for (std::size_t index = 1; index < arguments.size(); ++index) {
    const std::string& argument = arguments[index];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
      return options;
    }
    if (argument == "--json") {
      if (++index == arguments.size()) return Error(Errc::invalid_argument, "--json needs a value");
      options.json = arguments[index];
    } else if (argument.starts_with("-")) {
      return Error(Errc::invalid_argument, "unknown option " + argument);
    } else if (!options.file.empty()) {
      return Error(Errc::invalid_argument, "one file at a time");
    } else {
      options.file = argument;
    }
  }
  if (options.file.empty()) return Error(Errc::invalid_argument, "name the file to count");
  return options;
}
