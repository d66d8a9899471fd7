// The command line of word_count.
#pragma once

#include <ebb/base/result.h>

#include <span>
#include <string>

struct Options {
  std::string file;
  std::string json;  // empty: none
  bool help = false;
};

extern const char* const kUsage;

/// `arguments` begins with the program's name. invalid_argument with a sentence for what cannot be understood.
ebb::Result<Options> parse_options(std::span<const std::string> arguments);
