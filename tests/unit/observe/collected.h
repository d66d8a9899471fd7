// Runs a test's program; what the cores of this process have recorded, by kind and name.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ebb/async/runtime.h"
#include "ebb/async/task.h"
#include "ebb/object/node_table.h"
#include "src/observe/observer_service.h"
#include "tests/unit/object/clean_end.h"

namespace ebb {

inline task<int> end_all_after(task<int> (*test)()) {
  const int status = co_await test();
  co_await NodeTable::instance().clear();
  co_return status;
}

/// On two cores; ends what objects it leaves.
inline void run(task<int> (*test)()) {
  const auto main = [test] { return end_all_after(test); };
  EXPECT_EQ(run_cores(2, [main] { return ebb::testing::with_clean_end(main()); }), 0);
}

struct Tree {
  detail::SpanBatch batch;
  std::map<std::string, detail::SpanRecord> clients;
  std::map<std::string, detail::SpanRecord> servers;
  std::map<std::string, detail::SpanRecord> inside;
};

/// Of each core, what has been collected: the cores' spans stay from one test of a process to the next.
inline std::vector<std::uint64_t> collected;

/// At most `limit` since the last time.
inline task<Tree> collect(std::uint32_t limit = detail::ObserverService::kSpanBatch) {
  detail::ObserverService service;
  Tree tree;
  tree.batch = (co_await service.spans(limit, collected)).value();
  collected = tree.batch.next;
  for (const detail::SpanRecord& each : tree.batch.spans) {
    auto& kind = each.kind == detail::SpanKind::client   ? tree.clients
                 : each.kind == detail::SpanKind::server ? tree.servers
                                                         : tree.inside;
    kind[tree.batch.names.at(each.name)] = each;
  }
  co_return tree;
}

}  // namespace ebb
