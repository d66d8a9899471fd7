// What clients did and what they were told, and whether one object at one place could have answered so.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/world.h"

namespace ebb::sim {

/// Where in an object's life an operation took place: which instance of it, and how many operations that had carried out.
/// An object that tells this with every answer makes checking linearizability a matter of sorting: its operations are
/// totally ordered by (epoch, count), and what is left to check is that the order respects real time.
struct Moment {
  std::uint64_t epoch = 0;
  std::uint64_t count = 0;
  friend auto operator<=>(const Moment&, const Moment&) = default;
};

class History {
 public:
  struct Operation {
    std::uint64_t id = 0;
    std::uint64_t object = 0;
    Time begin{};
    std::optional<Time> end;      // nothing: it was still under way
    std::optional<Moment> moment; // nothing: it failed, and may or may not have run
    bool write = true;
    std::string who;              // the client, where that was noted
  };

  /// A client begins an operation; its id.
  std::uint64_t begin(Time now, std::uint64_t object, bool write);
  void note(std::uint64_t id, std::string who) { operations_[id].who = std::move(who); }
  void succeeded(std::uint64_t id, Time now, Moment moment);
  void failed(std::uint64_t id, Time now);

  /// An instance carries out an operation. Complains if it is the second time.
  void ran(std::uint64_t id, const std::string& where);

  /// That the writes of each object took place one after the other, in an order that respects real time. Objects whose epochs
  /// follow each other in time, as homes do: all of them are in one order. Otherwise epochs are names, and only writes of one epoch
  /// are compared.
  void check(bool ordered_epochs);
  /// That one counter an object, which may lose its state, could have given all answers, seen from the clients alone: an
  /// operation that failed may have run or not. Reads are left out, which need not be in the one order. `ordered_epochs` as above.
  void check_as_counters(bool ordered_epochs);

  /// That a read that begins after a write of the same epoch was answered shows that write, and that none shows more writes than
  /// had begun when it ended.
  void check_reads();

  const std::vector<Operation>& operations() const noexcept { return operations_; }
  std::size_t successes() const noexcept;
  /// Whether a call of `object` that began then or later was answered.
  bool answers_after(std::uint64_t object, Time begin) const;
  std::vector<std::string> violations;

 private:
  void complain(std::string what);
  void check_that_reads_wait();
  void check_that_reads_foresee_nothing();
  std::vector<Operation> operations_;
  std::map<std::uint64_t, std::string> ran_;
};

}  // namespace ebb::sim
