// Console bytes in, lines out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb::frontend::nodes {

/// Bytes of one line; what a node prints beyond it without a newline is handed on in pieces of this size.
inline constexpr std::size_t kMaxLineBytes = 4096;

/// Cuts a stream of bytes into lines. Drops carriage returns, and replaces other control characters of ASCII (tab excepted) by
/// '?'; those of more bytes are left to whoever prints whole lines (cluster::ConsoleLog). One thread.
class LineSplitter {
 public:
  /// Calls `emit(std::string_view)` for each line that `bytes` completes.
  template <class Emit>
  void feed(std::string_view bytes, Emit&& emit) {
    for (char byte : bytes) {
      if (byte == '\n') {
        finish(emit, true);
      } else if (accept(byte)) {
        finish(emit, true);
      }
    }
  }
  /// Emits what stands without a newline at the end of the stream.
  template <class Emit>
  void finish(Emit&& emit, bool even_if_empty = false) {
    if (even_if_empty || !line_.empty()) emit(std::string_view(line_));
    line_.clear();
  }

 private:
  /// True when the line is full.
  bool accept(char byte);

  std::string line_;
};

}  // namespace ebb::frontend::nodes
