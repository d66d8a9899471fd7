#include "tests/fuzz/observe/told.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

#include "ebb/wire/codec.h"
#include "frontend/observe/method_merge.h"
#include "frontend/observe/node_clocks.h"
#include "frontend/observe/read_spans.h"
#include "frontend/observe/trace_store.h"
#include "frontend/service/printable.h"

namespace ebb::frontend::observe::fuzz {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void require_shown(const std::string& text) {
  require(text.size() <= service::kMostOfText, "a long name is shown");
  require(service::printable(text) == text, "a name is shown that is no text");
}

void check_spans(std::span<const std::byte> bytes) {
  const auto batch = wire::decode<detail::SpanBatch>(bytes);
  if (!batch) return;
  TraceStore store;
  // The most that a clock may be off, and a time of day of the year 2100: sums of these must not overflow.
  for (const std::int64_t to_unix : {-NodeClocks::kMostNs, NodeClocks::kMostNs + std::int64_t{4'102'444'800'000'000'000}}) {
    for (const service::SpanInfo& span : read_spans(NodeId{1}, *batch, to_unix)) {
      require_shown(span.name);
      require(span.duration_ns >= 0 && span.start_unix_ns <= std::numeric_limits<std::int64_t>::max() - span.duration_ns,
              "a span that ends after all time");
      store.add(span);
    }
  }
  std::size_t spans = 0;
  for (const service::TraceSummary& trace : store.list(~0u).traces) {
    spans += trace.spans;
    const auto found = store.find(service::to_string(trace.id));
    require(found.has_value() && found->size() == trace.spans, "a trace that is listed is not found");
  }
  require(spans == store.spans(), "the store does not list what it has");
}

void check_methods(std::span<const std::byte> bytes) {
  const auto records = wire::decode<std::vector<detail::MethodRecord>>(bytes);
  if (!records) return;
  MethodMerge merge;
  merge.add(*records);
  merge.add(*records);
  const auto methods = merge.result();
  require(methods.size() <= MethodMerge::kMost + 1, "more methods than there is room for");
  for (const service::MethodInfo& method : methods) {
    require_shown(method.interface);
    require_shown(method.method);
    require(method.p50_ns <= method.p90_ns && method.p90_ns <= method.p99_ns && method.p99_ns <= method.p999_ns &&
                method.p999_ns <= method.maximum_ns, "quantiles that do not ascend");
  }
}

}  // namespace

void check_told(std::span<const std::byte> input) {
  if (input.empty()) return;
  if (input.front() == std::byte{0}) {
    check_spans(input.subspan(1));
  } else {
    check_methods(input.subspan(1));
  }
}

}  // namespace ebb::frontend::observe::fuzz
