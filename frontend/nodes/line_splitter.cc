// Console lines made safe to print, and the arguments of a node.
#include "frontend/nodes/line_splitter.h"

#include "frontend/nodes/driver.h"

namespace ebb::frontend::nodes {

bool LineSplitter::accept(char byte) {
  if (byte == '\r') return false;
  const auto value = static_cast<unsigned char>(byte);
  line_ += (value < 0x20 && byte != '\t') || value == 0x7f ? '?' : byte;
  return line_.size() == kMaxLineBytes;
}

std::string node_arguments(const NodeSpec& spec) {
  return "--ebb-node=" + std::to_string(to_number(spec.id)) + " --ebb-frontend=" + platform::to_string(spec.frontend) +
         " --ebb-cores=" + std::to_string(spec.cores);
}

}  // namespace ebb::frontend::nodes
