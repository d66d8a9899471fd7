// What nodes ask each other when an object's home moves from one living node to another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/object.h"
#include "src/object/parcel.h"

namespace ebb::detail {

/// Known on every node under a fixed id. A move is: give, take, the directory's record changed, forget, arrive; or, when one of
/// the first three has failed, keep. Whoever conducts it may die in between, and another may conduct one at the same time: what
/// was given is kept until the directory says who has it, and so is what was taken.
struct HomeService {
  /// On the home's core: stops answering (moved), waits for calls under way, gives the state. May be repeated. nullopt: calls have
  /// not ended for 20 s. When it does not give the state, the home answers again. Errors: moved (not the home of that epoch, or
  /// another move waits for its calls), invalid_argument (the type's state does not travel), application_error (save() threw),
  /// too_large, overloaded (too much is on its way from here).
  task<Result<std::optional<Parcel>>> give(ObjectId id, std::uint32_t epoch);
  /// On the old home's core: the move out of `epoch` has failed. It answers again, at once, unless the directory names
  /// another home.
  task<Result<void>> keep(ObjectId id, std::uint32_t epoch);
  /// On the new home's node: the state that its instance begins with, should it become the home of `epoch`. overloaded: too
  /// much waits here already, and the state has not been fetched. moved: a state for a later epoch waits here.
  task<Result<void>> take(ObjectId id, std::uint32_t epoch, Parcel state);
  /// On the new home's core: makes the instance out of the state, so that none waits for a call that may never come.
  task<Result<void>> arrive(ObjectId id);
  /// On the old home's core: the directory names another home. moved: it does not.
  task<Result<void>> forget(ObjectId id);
  using interface = ebb::interface<"ebb.Home/1", method<"give", &HomeService::give>, method<"keep", &HomeService::keep>,
                                   method<"take", &HomeService::take>, method<"arrive", &HomeService::arrive>,
                                   method<"forget", &HomeService::forget>>;
};
inline constexpr auto kHomeService = ref<HomeService>::unchecked(ObjectId(6));

}  // namespace ebb::detail
