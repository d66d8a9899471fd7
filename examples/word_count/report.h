// What word_count says at the end, to a person and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/base/result.h"
#include "examples/word_count/word_count.h"

struct Report {
  WordTable table;
  std::vector<std::uint64_t> pieces;  // by core
  double work_seconds = 0;
};

void print_report(const Report& report);

/// permission_denied when the file cannot be written whole.
ebb::Result<void> write_json(const Report& report, const std::string& path);
