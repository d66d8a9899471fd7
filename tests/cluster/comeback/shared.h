// What the nodes of this test know of each other beside what they call each other for.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "tests/cluster/comeback/machine_memory.h"

namespace ebb::test {

constexpr std::size_t kMostLoops = 32;

/// Memory that all these processes share: what is seen in one is known in all before anything else happens. All atomics are
/// sequentially consistent, as the argument is one about a single order. A machine has one of its own (see Machines).
struct Shared {
  std::atomic<std::uint64_t> mark{0};          ///< by which it is found in a machine
  std::atomic<std::uint32_t> newest{1};        ///< epoch that an answer had
  std::atomic<std::int64_t> written{0};        ///< what an answered write has made of the copied value
  std::atomic<std::uint32_t> late_answers{0};  ///< of calls that were under way when their node was stopped
  std::atomic<bool> go_on{false};              ///< for these
  std::atomic<bool> over{false};
  struct Loop {
    std::atomic<std::uint64_t> turns{0};
    std::atomic<std::uint64_t> answers{0};
    std::atomic<std::uint64_t> older_answers{0};  ///< to calls that began when one of a newer epoch had been answered
    std::atomic<std::uint64_t> old_reads{0};      ///< of a value older than `written` was before
    std::atomic<bool> ended{false};
  };
  std::array<Loop, kMostLoops> loops;
};

inline Shared* map(int file) {
  void* place = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return place == MAP_FAILED ? nullptr : static_cast<Shared*>(place);
}

inline std::uint64_t count(const Shared& shared, std::atomic<std::uint64_t> Shared::Loop::*what) {
  std::uint64_t sum = 0;
  for (const Shared::Loop& loop : shared.loops) sum += loop.*what;
  return sum;
}

/// A machine's own, which says at the machine's end what is in it: nobody can look any more.
struct OwnShared : Shared {
  ~OwnShared() {
    std::printf("at the end: older answers %llu, late answers %u, old reads %llu\n",
                static_cast<unsigned long long>(count(*this, &Loop::older_answers)), late_answers.load(),
                static_cast<unsigned long long>(count(*this, &Loop::old_reads)));
  }
};

/// That of the front end, by the name it has in /proc. Mapped once a process, for as long as that lives. A machine has no files.
inline Shared* shared_by(const std::string& name) {
  static Shared* const shared = [&name]() -> Shared* {
    const int file = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
    if (file >= 0) return map(file);
    static OwnShared own;
    return &own;
  }();
  return shared;
}

/// What the front end and machines, which share no memory, know of each other: it reaches into theirs. So what it knows when it
/// has carried that over is known in a machine that stands still before that goes on. Of others it hears a little later.
class Machines {
 public:
  explicit Machines(Shared* shared) : shared_(*shared) {}
  void add(MachineMemory memory) { all_.push_back(std::move(memory)); }
  void carry() {
    for (const MachineMemory& machine : all_) {
      // Raw bytes of atomics that need no lock.
      alignas(Shared) std::array<std::byte, sizeof(Shared)> bytes;
      if (!machine.read(bytes.data(), bytes.size())) continue;
      take(*std::launder(reinterpret_cast<const Shared*>(bytes.data())));
    }
    for (const MachineMemory& machine : all_) {
      give(machine, offsetof(Shared, written), shared_.written);
      give(machine, offsetof(Shared, go_on), shared_.go_on);
      give(machine, offsetof(Shared, over), shared_.over);
      // One home is lost here, so that no machine has seen a newer one than this.
      if (shared_.newest > 1) give(machine, offsetof(Shared, newest), shared_.newest);
    }
  }

 private:
  template <class T>
  static void give(const MachineMemory& machine, std::size_t offset, const std::atomic<T>& value) {
    const T now = value;
    machine.write(offset, &now, sizeof now);
  }
  void take(const Shared& theirs) {
    if (theirs.newest > shared_.newest) shared_.newest = theirs.newest.load();
    if (theirs.late_answers > shared_.late_answers) shared_.late_answers = theirs.late_answers.load();
    for (std::size_t number = 0; number < kMostLoops; ++number) {
      // Each runs on one node, and all but its own have nothing of it.
      const Shared::Loop& from = theirs.loops[number];
      Shared::Loop& to = shared_.loops[number];
      if (from.turns == 0 && !from.ended) continue;
      to.turns = from.turns.load();
      to.answers = from.answers.load();
      to.older_answers = from.older_answers.load();
      to.old_reads = from.old_reads.load();
      to.ended = from.ended.load();
    }
  }

  Shared& shared_;
  std::vector<MachineMemory> all_;
};

}  // namespace ebb::test
