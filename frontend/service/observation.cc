#include "frontend/service/observation.h"

#include <cinttypes>
#include <cstdio>

namespace ebb::frontend::service {

std::string to_string(TraceId id) {
  char text[33];
  std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, id.high, id.low);
  return text;
}

}  // namespace ebb::frontend::service
