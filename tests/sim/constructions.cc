#include "tests/sim/constructions.h"

#include <map>
#include <string>

#include "ebb/async/context.h"
#include "ebb/object/node_table.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

struct Constructions {
  std::uint64_t created = 0;                  // ObjectRecord::created
  std::map<std::uint32_t, std::string> made;  // where, in each epoch
};
std::map<ObjectId, Constructions> constructions;
Directory* creations = nullptr;

}  // namespace

void note_constructions_by(Directory* list) { creations = list; }

void note_construction(ObjectId id) {
  if (creations == nullptr) return;
  const std::uint32_t epoch = NodeTable::instance().home_of(id).epoch;
  const std::string where = "node " + std::to_string(to_number(this_node()));
  const Result<ObjectRecord> record = block_on(creations->lookup(id));
  if (!record) return;  // it ends
  Constructions& known = constructions[id];
  if (known.created != record->created) known = {record->created, {}};
  const auto [first, fresh] = known.made.emplace(epoch, where);
  if (fresh) return;
  violated("object " + std::to_string(id.index()) + " was made twice in epoch " + std::to_string(epoch) + ": on " + first->second +
           " and on " + where);
}

void forget_constructions(ObjectId id) { constructions.erase(id); }

}  // namespace ebb::sim
