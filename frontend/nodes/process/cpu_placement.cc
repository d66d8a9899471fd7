#include "frontend/nodes/process/cpu_placement.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace ebb::frontend::nodes {

CpuPlacement::CpuPlacement(std::size_t cpus, std::size_t frontend_first, std::size_t frontend_cores)
    : cpus_(std::max<std::size_t>(cpus, 1)) {
  ++cpus_[frontend_first % cpus_.size()].first_cores;
  for_each(frontend_first, frontend_cores, [](Cpu& cpu) { ++cpu.cores; });
}

template <class Visit>
void CpuPlacement::for_each(std::size_t first, std::size_t cores, Visit visit) {
  for (std::size_t core = 0; core < std::min(cores, cpus_.size()); ++core) visit(cpus_[(first + core) % cpus_.size()]);
}

std::size_t CpuPlacement::take(std::size_t cores) {
  std::size_t best = 0;
  std::optional<std::pair<std::size_t, std::size_t>> least;
  for (std::size_t first = 0; first < cpus_.size(); ++first) {
    std::size_t others = 0;
    for_each(first, cores, [&others](const Cpu& cpu) { others += cpu.cores; });
    const std::pair here{others, cpus_[first].first_cores};
    if (least && here >= *least) continue;
    least = here;
    best = first;
  }
  ++cpus_[best].first_cores;
  for_each(best, cores, [](Cpu& cpu) { ++cpu.cores; });
  return best;
}

void CpuPlacement::give_back(std::size_t first, std::size_t cores) {
  --cpus_[first].first_cores;
  for_each(first, cores, [](Cpu& cpu) { --cpu.cores; });
}

}  // namespace ebb::frontend::nodes
