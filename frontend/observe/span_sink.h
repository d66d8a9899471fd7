// Where spans go that leave the cluster.
#pragma once

#include <vector>

#include "frontend/service/observation.h"

namespace ebb::frontend::observe {

class SpanSink {
 public:
  virtual ~SpanSink() = default;
  /// Takes them over, or drops them and counts that. Never waits. On core 0.
  virtual void take(std::vector<service::SpanInfo> spans) noexcept = 0;
};

}  // namespace ebb::frontend::observe
