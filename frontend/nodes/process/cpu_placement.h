// Which CPUs the cores of this machine's process nodes are tied to.
#pragma once

#include <cstddef>
#include <vector>

namespace ebb::frontend::nodes {

/// Spreads the cores of processes over the CPUs of a machine. A process has CPUs in a row, around the last one, so that the first
/// says all (EBB_FIRST_CPU); where a process has more cores than there are CPUs, the rest is tied to none. Not thread-safe.
class CpuPlacement {
 public:
  /// `cpus`: how many there are, at least 1. The front end has `frontend_cores` of them, from `frontend_first` on.
  CpuPlacement(std::size_t cpus, std::size_t frontend_first, std::size_t frontend_cores);

  /// The CPU for the first of a process's `cores`: where the fewest cores of others are, and of these places where the fewest
  /// others have their first one, since that is the one with the most to do.
  std::size_t take(std::size_t cores);
  /// The process that was given `first` has ended.
  void give_back(std::size_t first, std::size_t cores);

 private:
  struct Cpu {
    std::size_t cores = 0;
    std::size_t first_cores = 0;
  };
  /// The CPUs of a process, those that more than one of its cores would have once.
  template <class Visit>
  void for_each(std::size_t first, std::size_t cores, Visit visit);

  std::vector<Cpu> cpus_;
};

}  // namespace ebb::frontend::nodes
