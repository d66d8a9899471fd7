// What a call carries of the trace it belongs to: the identifiers of W3C Trace Context, without their text form.
#pragma once

#include <cstdint>

namespace ebb {

/// A span, as its children refer to it. All zero: no trace.
struct TraceContext {
  std::uint64_t trace_high = 0;  ///< the first eight bytes of the trace's id, as a big-endian number
  std::uint64_t trace_low = 0;
  std::uint64_t span = 0;        ///< of the caller
  bool sampled = false;          ///< whether spans are recorded
  bool present() const noexcept { return (trace_high | trace_low) != 0; }
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

}  // namespace ebb
