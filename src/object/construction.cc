#include "src/object/construction.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/base/node_local.h"
#include "ebb/base/result.h"

namespace ebb::detail {
namespace {

// The representatives that this core is constructing right now, with the events that wait for them: a constructor may
// block, and then another event of the core can miss on the same object. Bounded by the core's contexts.
struct Construction {
  ObjectId id;
  Context* maker;
  std::vector<Context*> waiting;
};
struct Constructions {
  std::array<std::vector<Construction>, kMaxCores> of_core;  // each used on its core only
};
NodeLocal<Constructions> all_constructions;
std::vector<Construction>& constructions_here() {
  return all_constructions->of_core[to_number(Core::current().index())];
}

auto construction_of(ObjectId id) {
  std::vector<Construction>& constructions = constructions_here();
  return std::find_if(constructions.begin(), constructions.end(), [id](const auto& each) { return each.id == id; });
}

}  // namespace

void throw_recursive(ObjectId id) {
  throw ErrorException(Error(Errc::internal, "a constructor of " + describe(id) + " uses the object it is making, or what ends or "
                                             "saves a part of it does"));
}

void throw_stuck(ObjectId id) {
  throw ErrorException(Error(Errc::deadline_exceeded, describe(id) + " is being made, or dropped, for more than " +
                                                          std::to_string(kMaxConstruction / std::chrono::seconds(1)) +
                                                          " s; do two constructors wait for each other's objects?"));
}

void await_construction(ObjectId id) {
  const std::vector<Construction>& constructions = constructions_here();
  while (!constructions.empty()) {
    const auto running = construction_of(id);
    if (running == constructions.end()) return;
    if (running->maker == &Context::current()) throw_recursive(id);
    if (!Context::can_block()) {
      throw ErrorException(
          Error::refusal(Errc::overloaded, describe(id) + " is being made on this core, and this event cannot wait for it"));
    }
    Context* const me = &Context::current();
    bool over = false;
    const TimerId limit = Core::current().call_after(kMaxConstruction, [id, me, &over] {
      // Who is not on the list any more has been woken, and does not look at `over`.
      const auto still = construction_of(id);
      if (still == constructions_here().end() || std::erase(still->waiting, me) == 0) return;
      over = true;
      me->resume();
    });
    running->waiting.push_back(me);
    Context::block();
    if (over) throw_stuck(id);
    Core::current().cancel(limit);
  }
}

ConstructionScope::ConstructionScope(ObjectId id) : id_(id) { constructions_here().push_back({id, &Context::current(), {}}); }

ConstructionScope::~ConstructionScope() {
  const auto mine = construction_of(id_);
  const std::vector<Context*> waiting = std::move(mine->waiting);
  constructions_here().erase(mine);
  for (Context* context : waiting) context->resume();
}

}  // namespace ebb::detail
