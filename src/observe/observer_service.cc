#include "src/observe/observer_service.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/observe/span.h"
#include "ebb/platform/platform.h"
#include "src/observe/recorder.h"

namespace ebb::detail {
namespace {

// Methods of which a node tells; those beyond are told together, as the cores do with theirs.
constexpr std::size_t kMethodsPerNode = 1024;

struct CoreSpans {
  std::vector<EndedSpan> spans;
  std::uint64_t first = 0;
  bool more = false;
};

/// Gives a batch's spans their names: each text once.
class Names {
 public:
  explicit Names(SpanBatch& batch) noexcept : batch_(batch) {}
  std::uint32_t number_of(const EndedSpan& span) {
    const auto [place, added] = numbers_.try_emplace({span.interface_name, span.name},
                                                     static_cast<std::uint32_t>(batch_.names.size()));
    if (added) {
      std::string name(span.interface_name);
      if (!name.empty()) name += '.';
      batch_.names.push_back(name.append(span.name));
    }
    return place->second;
  }

 private:
  SpanBatch& batch_;
  std::map<std::pair<std::string_view, std::string_view>, std::uint32_t> numbers_;
};

using Totals = std::map<std::uint64_t, MethodHistogram>;

void add(Totals& totals, const MethodHistogram& one) {
  const bool room = totals.size() < kMethodsPerNode || totals.contains(one.label.id);
  const MethodLabel& label = room ? one.label : kOtherMethods;
  MethodHistogram& all = totals.try_emplace(label.id).first->second;
  all.label = label;
  all.calls += one.calls;
  all.errors += one.errors;
  all.total_ns += one.total_ns;
  all.maximum_ns = std::max(all.maximum_ns, one.maximum_ns);
  for (std::size_t i = 0; i < HistogramBuckets::kCount; ++i) all.buckets[i] += one.buckets[i];
}

MethodRecord record_of(const MethodHistogram& method) {
  MethodRecord record{std::string(method.label.interface_name), std::string(method.label.name), method.calls, method.errors,
                      method.total_ns, method.maximum_ns, {}};
  for (std::size_t i = 0; i < HistogramBuckets::kCount; ++i) {
    if (method.buckets[i] != 0) record.buckets.emplace_back(static_cast<std::uint16_t>(i), method.buckets[i]);
  }
  return record;
}

}  // namespace

task<Result<SpanBatch>> ObserverService::spans(std::uint32_t limit, std::vector<std::uint64_t> read) {
  SpanBatch batch;
  Names names(batch);
  std::size_t left = std::min(limit, kSpanBatch);
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    // Named: gcc 12 destroys the captures of a temporary in a co_await expression twice (bug 99576).
    const std::uint64_t confirmed = core < read.size() ? read[core] : 0;
    auto copy = [left, confirmed] {
      CoreRecorder* const own = CoreRecorder::own();
      if (own == nullptr) return CoreSpans();  // it has noted nothing
      SpanRing& ring = own->spans;
      ring.forget(confirmed);
      CoreSpans copied{ring.read(left), ring.first(), false};
      copied.more = ring.size() > copied.spans.size();
      return copied;
    };
    const CoreSpans copied = co_await on_core(CoreIndex(core), copy);
    batch.first.push_back(copied.first);
    batch.next.push_back(copied.first + copied.spans.size());
    batch.more = batch.more || copied.more;
    left -= copied.spans.size();
    for (const EndedSpan& span : copied.spans) {
      batch.spans.push_back({span.trace_high, span.trace_low, span.span, span.parent, span.start_ns, span.duration_ns,
                             span.object, names.number_of(span), CoreIndex(core), span.peer, span.kind, span.status});
    }
  }
  co_return batch;
}

std::int64_t ObserverService::clock() { return platform::Clock::now().time_since_epoch().count(); }

task<Result<std::vector<MethodRecord>>> ObserverService::methods() {
  Totals totals;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto copy = [] {
      std::vector<MethodHistogram> methods;
      const CoreRecorder* const own = CoreRecorder::own();
      if (own != nullptr) own->methods.for_each([&methods](const MethodHistogram& one) { methods.push_back(one); });
      return methods;
    };
    const std::vector<MethodHistogram> methods = co_await on_core(CoreIndex(core), copy);
    for (const MethodHistogram& one : methods) add(totals, one);
  }
  std::vector<MethodRecord> records;
  for (const auto& [id, method] : totals) records.push_back(record_of(method));
  co_return records;
}

task<Result<void>> ObserverService::sample(std::uint32_t per_million) {
  observe::sample(per_million);
  co_return Result<void>();
}

}  // namespace ebb::detail
