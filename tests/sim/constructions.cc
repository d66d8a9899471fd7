#include "tests/sim/constructions.h"

#include <map>
#include <string>

#include "ebb/object/node_table.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

std::map<ObjectId, std::map<std::uint32_t, std::string>>& constructions() {
  static std::map<ObjectId, std::map<std::uint32_t, std::string>> all;
  return all;
}

}  // namespace

void note_construction(ObjectId id) {
  const std::uint32_t epoch = NodeTable::instance().home_of(id).epoch;
  const std::string where = "node " + std::to_string(to_number(this_node()));
  const auto [first, fresh] = constructions()[id].emplace(epoch, where);
  if (fresh) return;
  violated("object " + std::to_string(id.index()) + " was made twice in epoch " + std::to_string(epoch) + ": on " + first->second +
           " and on " + where);
}

void forget_constructions(ObjectId id) { constructions().erase(id); }

}  // namespace ebb::sim
