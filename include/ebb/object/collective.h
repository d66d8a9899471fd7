// Calls of every representative of an object: reductions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/ref.h"
#include "ebb/object/target.h"
#include "ebb/wire/codec.h"

namespace ebb::detail {

/// ref<T>::reduce(), carried out.
template <class T>
struct Reduction {
  template <auto Member, class Value, class Combine>
  static task<Result<Value>> fold(ref<T> self, Value value, Combine combine) {
    using R = MethodResult<Member>;
    static_assert(std::tuple_size_v<typename SignatureOf<Member>::stored> == 0, "a reduction's method takes nothing");
    static_assert(wire::travels<R>, "the result of a reduction's method must be a value that can travel between nodes");
    std::vector<task<Result<std::vector<R>>>> parts;
    const NodeId here = this_node();
    NodeLink* link = node_link();
    std::vector<NodeId> nodes = link == nullptr ? std::vector<NodeId>() : link->others();
    nodes.insert(std::upper_bound(nodes.begin(), nodes.end(), here), here);
    for (const NodeId node : nodes) {
      parts.push_back(node == here ? gather_here<Member>(self) : gather<Member>(self, node));
    }
    for (Result<std::vector<R>>& part : co_await when_all(std::move(parts))) {
      if (!part) co_return std::move(part).error();
      for (R& result : *part) value = combine(std::move(value), std::move(result));
    }
    co_return value;
  }

  template <auto Member>
  static task<Result<std::vector<MethodResult<Member>>>> gather_here(ref<T> self) {
    using R = MethodResult<Member>;
    std::vector<task<Result<R>>> calls;
    const std::uint64_t cores = NodeTable::instance().cores_of(self.id());
    for (std::uint16_t core = 0; core < kMaxCores; ++core) {
      if (cores >> core & 1) calls.push_back(self.on(CoreIndex(core)).template call<Member>());
    }
    std::vector<R> results;
    for (Result<R>& result : co_await when_all(std::move(calls))) {
      if (!result) co_return std::move(result).error();
      results.push_back(*std::move(result));
    }
    co_return results;
  }

  template <auto Member>
  static task<Result<std::vector<MethodResult<Member>>>> gather(ref<T> self, NodeId node) {
    auto answer = co_await call_elsewhere(node, kAllCores, self.id(), T::interface::template method_id<Member>(),
                                                  kDefaultTimeout, Bytes());
    if (!answer) co_return std::move(answer).error();
    if (auto results = wire::decode<std::vector<MethodResult<Member>>>(*answer)) co_return *std::move(results);
    co_return Error(Errc::malformed, "the answer of node " + std::to_string(to_number(node)) +
                                         " to a reduction does not decode; start all nodes from the same build");
  }
};

}  // namespace ebb::detail
