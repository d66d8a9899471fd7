#include "kernel/boot/command_line.h"

#include "kernel/boot/start_info.h"

namespace kernel::boot {

std::size_t split_command_line(const char* line, char** arguments) noexcept {
  static char text[kMaxCommandLineBytes];
  std::size_t count = 0;
  std::size_t used = 0;
  while (*line != 0) {
    while (*line == ' ' || *line == '\t' || *line == '\n') ++line;
    if (*line == 0 || count == kMaxArguments) break;
    arguments[count++] = &text[used];
    bool quoted = false;
    for (; *line != 0 && (quoted || (*line != ' ' && *line != '\t' && *line != '\n')); ++line) {
      if (*line == '"') {
        quoted = !quoted;
        continue;
      }
      if (*line == '\\' && line[1] != 0) ++line;
      text[used++] = *line;
    }
    text[used++] = 0;
  }
  return count;
}

}  // namespace kernel::boot
