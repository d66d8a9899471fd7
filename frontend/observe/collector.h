// Gathers what the nodes of the cluster tell of their calls, keeps it, and hands it to an exporter.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ebb/async/scope.h"
#include "ebb/async/semaphore.h"
#include "ebb/async/task.h"
#include "frontend/cluster/core_asker.h"
#include "frontend/cluster/one_shot.h"
#include "frontend/observe/clock_estimate.h"
#include "frontend/observe/node_clocks.h"
#include "frontend/observe/span_sink.h"
#include "frontend/observe/trace_store.h"
#include "frontend/service/observation.h"
#include "src/observe/observer_service.h"

namespace ebb::frontend::observe {

/// Made on core 0, and used there but for the members of ObserveControl. Each node is asked by itself and with a limit: one
/// that does not answer is left out, and tells later what it still has.
class Collector final : public service::ObserveControl {
 public:
  /// `sink`: gets each span once; may be nullptr. `per_million`: every node's rate of sampling from the start.
  Collector(SpanSink* sink, std::uint32_t per_million);

  Result<service::TraceList> traces(std::uint32_t limit) override;
  Result<std::vector<service::SpanInfo>> trace(const std::string& id) override;
  Result<service::MethodList> methods() override;
  Result<void> sample(std::uint32_t per_million) override;

  /// Begins to look each second, while there is a reason to: an exporter, or a rate of sampling.
  void start();
  /// Gathers once more what there is; nothing is gathered after it.
  task<void> finish();

  /// What is still asked for over gRPC returns (unavailable) within a moment. Any thread.
  void close() noexcept { asker_.close(); }
  task<void> join() { return asker_.join(); }

 private:
  task<void> look_again();
  task<void> gather();
  task<void> gather_from(NodeId node);
  void note_time_of_day();
  void take(NodeId node, const detail::SpanBatch& batch);
  task<void> set_rate(NodeId node);
  task<void> answer_traces(cluster::Answer<service::TraceList> answer, std::uint32_t limit);
  task<void> answer_trace(cluster::Answer<std::vector<service::SpanInfo>> answer, std::string id);
  task<void> answer_methods(cluster::Answer<service::MethodList> answer);
  task<void> answer_sample(cluster::Answer<void> answer, std::uint32_t per_million);

  SpanSink* const sink_;
  std::uint32_t per_million_;
  TraceStore store_;
  NodeClocks clocks_;
  ClockEstimate time_of_day_;                 // against our clock
  std::map<NodeId, std::uint64_t> dropped_;   // as each member has told
  std::map<NodeId, std::uint32_t> rates_;     // that each member has been given
  Semaphore gathering_{1};                    // one at a time: each span is taken once
  cluster::OneShot closing_;
  Scope scope_;
  cluster::CoreAsker asker_;
};

}  // namespace ebb::frontend::observe
