// What nodes print: forwarded to the operator, and the last lines kept for error messages.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "ebb/base/ids.h"

namespace ebb::frontend::cluster {

/// Any thread. A node must not be able to drive the operator's terminal: lines are made printable before anything else.
class ConsoleLog {
 public:
  /// Lines kept of each node; older ones are dropped.
  static constexpr std::size_t kKeptLines = 8;

  /// `print` gets "[node 3] ..." for each line; it is called under no lock and may be empty.
  explicit ConsoleLog(std::function<void(std::string_view)> print) : print_(std::move(print)) {}

  void add(NodeId node, std::string_view told);

  /// "; its last lines: ..." for the end of an error, empty if the node printed nothing.
  std::string tail(NodeId node) const;

  /// The line by which a node that faulted said why, empty if there is none.
  std::string panic(NodeId node) const;

  void forget(NodeId node);

 private:
  struct Lines {
    std::deque<std::string> last;
    std::string panic;
  };

  const std::function<void(std::string_view)> print_;
  mutable std::mutex mutex_;  // guards lines_
  std::map<NodeId, Lines> lines_;
};

}  // namespace ebb::frontend::cluster
