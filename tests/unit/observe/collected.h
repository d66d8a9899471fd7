// What the cores of this process have recorded, by kind and name.
#pragma once

#include <map>
#include <string>

#include "ebb/async/task.h"
#include "src/observe/observer_service.h"

namespace ebb {

struct Tree {
  detail::SpanBatch batch;
  std::map<std::string, detail::SpanRecord> clients;
  std::map<std::string, detail::SpanRecord> servers;
  std::map<std::string, detail::SpanRecord> inside;
};

/// Since the last time.
inline task<Tree> collect() {
  detail::ObserverService service;
  Tree tree;
  tree.batch = (co_await service.spans(detail::ObserverService::kSpanBatch)).value();
  for (const detail::SpanRecord& each : tree.batch.spans) {
    auto& kind = each.kind == detail::SpanKind::client   ? tree.clients
                 : each.kind == detail::SpanKind::server ? tree.servers
                                                         : tree.inside;
    kind[tree.batch.names.at(each.name)] = each;
  }
  co_return tree;
}

}  // namespace ebb
