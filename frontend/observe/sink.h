// Where spans and histograms go that leave the cluster.
#pragma once

#include <vector>

#include "frontend/service/observation.h"

namespace ebb::frontend::observe {

/// All on core 0; never waits.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Takes them over, or drops them and counts that.
  virtual void take(std::vector<service::SpanInfo> spans) noexcept = 0;
  /// A later snapshot says all that an earlier one does, and may take its place.
  virtual void take(service::MethodSnapshot snapshot) noexcept = 0;
};

}  // namespace ebb::frontend::observe
