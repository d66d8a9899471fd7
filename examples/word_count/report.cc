#include "examples/word_count/report.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace {

constexpr std::size_t kTopWords = 10;

struct Summary {
  std::uint64_t words = 0;
  std::vector<std::pair<std::string, std::uint64_t>> top;  // most frequent first, then by the alphabet
};

Summary summarize(const WordTable& table) {
  Summary summary;
  for (const auto& [word, count] : table) summary.words += count;
  summary.top.assign(table.begin(), table.end());
  const auto end = summary.top.begin() + static_cast<std::ptrdiff_t>(std::min(kTopWords, summary.top.size()));
  std::partial_sort(summary.top.begin(), end, summary.top.end(), [](const auto& left, const auto& right) {
    return left.second != right.second ? left.second > right.second : left.first < right.first;
  });
  summary.top.erase(end, summary.top.end());
  return summary;
}

}  // namespace

void print_report(const Report& report) {
  const Summary summary = summarize(report.table);
  for (const auto& [word, count] : summary.top) {
    std::printf("%10llu  %s\n", static_cast<unsigned long long>(count), word.c_str());
  }
  std::printf("%llu words, %zu distinct, in %.3f s\n", static_cast<unsigned long long>(summary.words),
              report.table.size(), report.work_seconds);
  for (std::size_t core = 0; core < report.pieces.size(); ++core) {
    std::printf("core %zu counted %llu pieces\n", core, static_cast<unsigned long long>(report.pieces[core]));
  }
}

ebb::Result<void> write_json(const Report& report, const std::string& path) {
  const Summary summary = summarize(report.table);
  nlohmann::ordered_json cores = nlohmann::ordered_json::array();
  for (std::size_t core = 0; core < report.pieces.size(); ++core) {
    cores.push_back({{"core", core}, {"pieces", report.pieces[core]}});
  }
  nlohmann::ordered_json document;
  document["words"] = summary.words;
  document["distinct"] = report.table.size();
  document["top"] = nlohmann::ordered_json::array();
  for (const auto& [word, count] : summary.top) document["top"].push_back({word, count});
  document["nodes"] = {{{"id", 0}, {"driver", "local"}, {"cores", cores}}};
  document["seconds"] = {{"work", report.work_seconds}};
  std::ofstream out(path, std::ios::trunc);
  out << document.dump() << '\n';
  out.close();
  if (!out) {
    return ebb::Error(ebb::Errc::permission_denied, "cannot write '" + path + "'; name a file that you may write");
  }
  return {};
}
