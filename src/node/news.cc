#include "src/node/news.h"

#include <algorithm>
#include <utility>

#include "src/node/caught.h"

namespace ebb::detail {

task<void> News::attempt(NodeId member, std::shared_ptr<Reader> reader) {
  if (reader->under_way) {
    Completion<> ended;
    reader->waiting.push_back(&ended);
    co_await ended;
    co_return;
  }
  reader->under_way = true;
  Result<std::uint64_t> told = reader->taken;
  try {
    told = co_await tell_(member, reader->taken);
  } catch (...) {
    told = caught();
  }
  reader->under_way = false;
  reader->last = Result<void>();
  if (told) {
    reader->taken = std::max(reader->taken, *told);
  } else {
    reader->last = std::move(told).error();
  }
  for (Completion<>* each : std::exchange(reader->waiting, {})) each->complete();
}

task<Result<void>> News::bring(NodeId member, std::uint64_t version) {
  auto place = readers_.find(member);
  if (place == readers_.end()) place = readers_.emplace(member, std::make_shared<Reader>()).first;
  const std::shared_ptr<Reader> reader = place->second;
  // One that is under way may carry an older list; the one after it does not.
  const int attempts = reader->under_way ? 2 : 1;
  for (int done = 0; done < attempts && reader->taken < version; ++done) co_await attempt(member, reader);
  if (reader->taken >= version) co_return Result<void>();
  co_return reader->last;
}

bool News::under_way(NodeId member) const {
  const auto found = readers_.find(member);
  return found != readers_.end() && found->second->under_way;
}

}  // namespace ebb::detail
