// Gathers what the nodes of the cluster tell of their calls, keeps it, and hands it to an exporter.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ebb/async/scope.h"
#include "ebb/async/semaphore.h"
#include "ebb/async/task.h"
#include "frontend/cluster/core_asker.h"
#include "frontend/cluster/one_shot.h"
#include "frontend/observe/clock_estimate.h"
#include "frontend/observe/node_clocks.h"
#include "frontend/observe/sink.h"
#include "frontend/observe/trace_store.h"
#include "frontend/service/observation.h"
#include "src/observe/observer_service.h"

namespace ebb::frontend::observe {

/// Made on core 0, and used there but for the members of ObserveControl. Each node is asked by itself, and has kNodeLimit for all
/// that it is asked in a row: one that is slower is left out, holds up nobody longer than that, and tells later what it still has.
class Collector final : public service::ObserveControl {
 public:
  static constexpr platform::Duration kNodeLimit = std::chrono::seconds(2);

  /// `sink`: gets each span once, and the histograms every ten seconds; may be nullptr. `per_million`: every node's rate of
  /// sampling from the start.
  Collector(Sink* sink, std::uint32_t per_million);

  Result<service::TraceList> traces(std::uint32_t limit) override;
  Result<service::Trace> trace(const std::string& id) override;
  Result<service::MethodList> methods() override;
  Result<void> sample(std::uint32_t per_million) override;

  /// Has this node sample from now on, and begins to look each second, while there is a reason to: an exporter, or a rate of
  /// sampling.
  void start();
  /// Tells a node that has just joined how much to sample; what it does before that is not sampled. Within kNodeLimit.
  task<void> welcome(NodeId node);
  /// Takes what a node still has, which is about to stop.
  task<void> part_from(NodeId node);
  /// Gathers once more what there is, if somebody is to get it; nothing is gathered after it but what gRPC asks for. Within
  /// kNodeLimit.
  task<void> finish();

  /// What is still asked for over gRPC returns (unavailable) within a moment. Any thread.
  void close() noexcept { asker_.close(); }
  task<void> join() { return asker_.join(); }

 private:
  task<void> look_again();
  /// What is known of a member.
  struct Watched {
    Semaphore reading{1};               // one at a time: each span is taken once
    std::vector<std::uint64_t> read;    // of each core: how many spans have arrived, or were lost
    std::uint32_t rate = 0;             // of sampling, that it has been given
  };

  /// The nodes that did not tell all they have in time.
  task<std::vector<NodeId>> gather();
  /// Whether it told all.
  task<bool> gather_from(NodeId node, platform::Instant until);
  std::shared_ptr<Watched> watch(NodeId node);
  void forget_all_but(const std::vector<NodeId>& nodes);
  void note_time_of_day();
  task<void> tell_methods();
  Result<void> take(NodeId node, Watched& watched, const detail::SpanBatch& batch);
  task<void> set_rate(NodeId node);
  task<void> answer_traces(cluster::Answer<service::TraceList> answer, std::uint32_t limit);
  task<void> answer_trace(cluster::Answer<service::Trace> answer, std::string id);
  task<void> answer_methods(cluster::Answer<service::MethodList> answer);
  task<void> answer_sample(cluster::Answer<void> answer, std::uint32_t per_million);

  Sink* const sink_;
  std::uint32_t per_million_;
  const std::int64_t begun_ns_;
  const std::int64_t begun_unix_ns_;
  platform::Instant methods_due_;  // look_again tells of methods then
  TraceStore store_;
  NodeClocks clocks_;
  ClockEstimate time_of_day_;  // against our clock
  std::map<NodeId, std::shared_ptr<Watched>> watched_;  // shared with those who read
  cluster::OneShot closing_;
  Scope scope_;
  cluster::CoreAsker asker_;
};

}  // namespace ebb::frontend::observe
