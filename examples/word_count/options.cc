#include "examples/word_count/options.h"

#include <charconv>
#include <string_view>

#include "ebb/base/ids.h"

using ebb::Errc;
using ebb::Error;

const char* const kUsage =
    "usage: word_count [--cores M] [--json OUT] FILE\n"
    "Counts the words of FILE on M cores (default 2) with one distributed object. A word is a maximal run of ASCII\n"
    "letters, folded to lower case. --json also writes the outcome to OUT.\n";

ebb::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  for (int index = 1; index < argc; ++index) {
    const std::string_view argument = argv[index];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
      return options;
    }
    if (argument == "--cores" || argument == "--json") {
      if (++index == argc) return Error(Errc::invalid_argument, std::string(argument) + " needs a value");
      const std::string_view value = argv[index];
      if (argument == "--json") {
        options.json = value;
        continue;
      }
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.cores);
      if (error != std::errc{} || end != value.data() + value.size() || options.cores == 0 ||
          options.cores > ebb::kMaxCores) {
        return Error(Errc::invalid_argument, "--cores takes a number from 1 to " + std::to_string(ebb::kMaxCores) +
                                                 ", not '" + std::string(value) + "'");
      }
    } else if (argument.starts_with("-")) {
      return Error(Errc::invalid_argument, "unknown option " + std::string(argument));
    } else if (!options.file.empty()) {
      return Error(Errc::invalid_argument, "one file at a time");
    } else {
      options.file = argument;
    }
  }
  if (options.file.empty()) return Error(Errc::invalid_argument, "name the file to count");
  return options;
}
