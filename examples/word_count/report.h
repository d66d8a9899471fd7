// What word_count says at the end, to a person and as JSON.
#pragma once

#include <ebb/base/ids.h>
#include <ebb/base/result.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "word_count.h"

struct NodeReport {
  ebb::NodeId id = ebb::kNoNode;
  std::string driver;
  std::uint16_t cores = 0;
};

/// Launch and join: the slowest backend's.
struct Seconds {
  double launch = 0;
  double join = 0;
  double work = 0;
  double stop = 0;
};

struct Report {
  WordTable table;
  std::vector<NodeReport> nodes;
  std::vector<ebb::result_from<std::uint64_t>> pieces;  // of the cores that counted any
  Seconds seconds;
};

void print_report(const Report& report);

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using OutputFile = std::unique_ptr<std::FILE, FileCloser>;

/// Before the work, which would be lost on a name that cannot be written.
ebb::Result<OutputFile> open_json(const std::string& path);

ebb::Result<void> write_json(const Report& report, OutputFile file, const std::string& path);
