// The writes of replicated objects: which replica carried out which of them, and after which others.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/sim/history.h"

namespace ebb::sim {

/// All that a replica knows: how it came about. Travels.
struct Page {
  std::uint64_t life = 0;   ///< a state that nobody has any more is followed by another life
  std::uint64_t count = 0;  ///< of the writes
  std::uint64_t hash = 0;   ///< of the life and the writes' operations, in their order
  friend bool operator==(const Page&, const Page&) = default;
};

/// All replicas of all the objects of a history, the originals among them. What holds: an operation is carried out at most
/// once, which is by the original, and each replica that carries it out as well does so after the same writes. Two different
/// writes may follow the same one: whoever becomes the home anew may have missed one that was never answered, and replicas
/// that had it are dropped.
class WriteOrder {
 public:
  explicit WriteOrder(History& history) : history_(history) {}

  /// A replica that is at `page` carries out `operation`, and is then at what is returned. Complains if it, or another, was
  /// elsewhere when it carried out the same.
  Page carry_out(const Page& page, std::uint64_t operation, const std::string& where);
  /// A client has heard, as a write's answer or by a read, that a replica was at `page`.
  void heard(std::uint64_t operation, const Page& page) { heard_.emplace(operation, page); }

  /// That every answer is one of a state that some replica came to; that the answered writes of each life are all in one
  /// order; and that what a read shows goes back to the last write that had been answered when it began.
  void check();
  std::vector<std::string> violations;

 private:
  struct Step {
    Page before;
    Page after;
    std::string where;  ///< of the first who came to it
  };
  using Operation = History::Operation;

  bool is_known(const Page& page) const;
  /// Whether a replica that is at `later` has been at `earlier`.
  bool leads_to(const Page& earlier, Page later) const;
  void check_answer(const Operation& operation, const Page& page);
  void check_writes(std::vector<const Operation*> writes);
  void check_reads(const std::vector<const Operation*>& writes, const std::vector<const Operation*>& reads);

  History& history_;
  std::map<std::uint64_t, Step> steps_;                       // by operation
  std::unordered_map<std::uint64_t, std::uint64_t> last_of_;  // by the hash of a page: its last operation
  std::map<std::uint64_t, Page> heard_;
};

}  // namespace ebb::sim
