#include "report.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
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

std::uint64_t pieces_of(const Report& report, ebb::NodeId node, std::uint16_t core) {
  for (const auto& each : report.pieces) {
    if (each.node == node && ebb::to_number(each.core) == core) return each.value;
  }
  return 0;
}

ebb::Error cannot_write(const std::string& path, int reason) {
  const ebb::Errc code = reason == ENOENT || reason == ENOTDIR ? ebb::Errc::not_found
                         : reason == ENOSPC                    ? ebb::Errc::resource_exhausted
                                                               : ebb::Errc::permission_denied;
  return ebb::Error(code, "cannot write '" + path + "': " + std::strerror(reason) + "; name a file that you may write");
}

}  // namespace

void print_report(const Report& report) {
  const Summary summary = summarize(report.table);
  for (const auto& [word, count] : summary.top) {
    std::printf("%10llu  %s\n", static_cast<unsigned long long>(count), word.c_str());
  }
  std::printf("%llu words, %zu distinct\n", static_cast<unsigned long long>(summary.words), report.table.size());
  for (const NodeReport& node : report.nodes) {
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      std::printf("node %u core %u counted %llu pieces\n", ebb::to_number(node.id), core,
                  static_cast<unsigned long long>(pieces_of(report, node.id, core)));
    }
  }
  const Seconds& seconds = report.seconds;
  std::printf("launch %.3f s, join %.3f s, work %.3f s, stop %.3f s\n", seconds.launch, seconds.join, seconds.work, seconds.stop);
}

ebb::Result<OutputFile> open_json(const std::string& path) {
  OutputFile file(std::fopen(path.c_str(), "we"));
  if (file == nullptr) return cannot_write(path, errno);
  return file;
}

ebb::Result<void> write_json(const Report& report, OutputFile file, const std::string& path) {
  const Summary summary = summarize(report.table);
  nlohmann::ordered_json document;
  document["words"] = summary.words;
  document["distinct"] = report.table.size();
  document["top"] = nlohmann::ordered_json::array();
  for (const auto& [word, count] : summary.top) document["top"].push_back({word, count});
  document["nodes"] = nlohmann::ordered_json::array();
  for (const NodeReport& node : report.nodes) {
    nlohmann::ordered_json cores = nlohmann::ordered_json::array();
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      cores.push_back({{"core", core}, {"pieces", pieces_of(report, node.id, core)}});
    }
    document["nodes"].push_back({{"id", ebb::to_number(node.id)}, {"driver", node.driver}, {"cores", std::move(cores)}});
  }
  const Seconds& seconds = report.seconds;
  document["seconds"] = {{"launch", seconds.launch}, {"join", seconds.join}, {"work", seconds.work}, {"stop", seconds.stop}};
  const std::string text = document.dump() + "\n";
  const bool taken = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  if (std::fclose(file.release()) != 0 || !taken) return cannot_write(path, errno);
  return {};
}
