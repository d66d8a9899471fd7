// The command line of word_count.
#pragma once

#include <cstddef>
#include <string>

#include "ebb/base/result.h"

struct Options {
  std::string file;
  std::string json;  // empty: none
  std::size_t cores = 2;
  bool help = false;
};

extern const char* const kUsage;

/// invalid_argument with a sentence for what cannot be understood.
ebb::Result<Options> parse_options(int argc, char** argv);
