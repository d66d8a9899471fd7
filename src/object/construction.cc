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
  throw ErrorException(Error(Errc::internal, "a constructor of " + describe(id) + " uses the object it is making"));
}

void await_construction(ObjectId id) {
  const std::vector<Construction>& constructions = constructions_here();
  while (!constructions.empty()) {
    const auto running = construction_of(id);
    if (running == constructions.end()) return;
    if (running->maker == &Context::current()) throw_recursive(id);
    if (!Context::can_block()) {
      throw ErrorException(
          Error(Errc::overloaded, describe(id) + " is being made on this core, and this event cannot wait for it"));
    }
    running->waiting.push_back(&Context::current());
    Context::block();
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
