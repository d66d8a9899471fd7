// What there is one of a node, and therefore one of a process: except in the simulator, which runs many nodes in one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

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
    if (others_ != nullptr) others_->erase(node);
  }

 private:
  [[gnu::noinline, gnu::cold]] T& simulated() {
    if (others_ == nullptr) others_ = new std::map<std::uint32_t, std::unique_ptr<T>>();
    std::unique_ptr<T>& place = (*others_)[simulated_node];
    if (!place) place = std::make_unique<T>();
    return *place;
  }

  T own_{};
  std::map<std::uint32_t, std::unique_ptr<T>>* others_ = nullptr;
};

}  // namespace ebb::detail
