// The command line of word_count.
#pragma once

#include <span>
#include <string>

#include "ebb/base/result.h"

struct Options {
  std::string file;
  std::string json;  // empty: none
  bool help = false;
};

extern const char* const kUsage;

/// `arguments` begins with the program's name. invalid_argument with a sentence for what cannot be understood.
ebb::Result<Options> parse_options(std::span<const std::string> arguments);
