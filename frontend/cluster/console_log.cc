#include "frontend/cluster/console_log.h"

#include "frontend/service/printable.h"

namespace ebb::frontend::cluster {
namespace {

constexpr std::string_view kPanicPrefix = "ebb-panic: ";

}  // namespace

void ConsoleLog::add(NodeId node, std::string_view told) {
  const std::string line = service::printable_line(told);
  {
    const std::lock_guard guard(mutex_);
    Lines& lines = lines_[node];
    if (lines.last.size() == kKeptLines) lines.last.pop_front();
    lines.last.emplace_back(line);
    if (lines.panic.empty() && line.starts_with(kPanicPrefix)) lines.panic = line;
  }
  if (print_) print_("[node " + std::to_string(to_number(node)) + "] " + line);
}

std::string ConsoleLog::tail(NodeId node) const {
  const std::lock_guard guard(mutex_);
  const auto found = lines_.find(node);
  if (found == lines_.end()) return {};
  std::string text = "; its last lines:";
  for (const std::string& line : found->second.last) text += (&line == &found->second.last.front() ? " " : " | ") + line;
  return text;
}

std::string ConsoleLog::panic(NodeId node) const {
  const std::lock_guard guard(mutex_);
  const auto found = lines_.find(node);
  return found == lines_.end() ? std::string() : found->second.panic;
}

void ConsoleLog::forget(NodeId node) {
  const std::lock_guard guard(mutex_);
  lines_.erase(node);
}

}  // namespace ebb::frontend::cluster
