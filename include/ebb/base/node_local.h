// What there is one of a node, and therefore one of a process: except in the simulator, which runs many nodes in one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ebb::detail {

/// The node that runs at this moment: 0 is the process's own, and the only one outside the simulator (tests/sim), which
/// alone changes it, between events, on its one thread.
extern constinit std::uint32_t simulated_node;

/// One T for each node. In a program that simulates nothing it costs a load and a branch beside T itself.
template <class T>
class NodeLocal {
 public:
  constexpr NodeLocal() = default;
  NodeLocal(const NodeLocal&) = delete;
  NodeLocal& operator=(const NodeLocal&) = delete;
  // The others' are the simulator's to end, with forget(); a static object must not have them ended behind its back.
  ~NodeLocal() = default;

  T& operator*() {
    if (simulated_node == 0) [[likely]] return own_;
    return simulated();
  }
  T* operator->() { return &**this; }

  /// Ends the T of a simulated node.
  void forget(std::uint32_t node) {
    if (others_ != nullptr && node < others_->size()) (*others_)[node].reset();
  }

 private:
  [[gnu::noinline, gnu::cold]] T& simulated() {
    const std::size_t node = simulated_node;
    if (others_ != nullptr && node < others_->size() && (*others_)[node]) [[likely]] return *(*others_)[node];
    return make(node);
  }
  T& make(std::size_t node) {
    auto made = std::make_unique<T>();
    if (others_ == nullptr) others_ = new std::vector<std::unique_ptr<T>>();
    if (others_->size() <= node) others_->resize(node + 1);
    return *((*others_)[node] = std::move(made));
  }

  T own_{};
  std::vector<std::unique_ptr<T>>* others_ = nullptr;  // by the node's number: the simulator counts them from 1
};

}  // namespace ebb::detail
