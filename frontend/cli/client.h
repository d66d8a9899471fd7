// The commands that ask a running front end.
#pragma once

#include <cstdint>
#include <string>

#include "ebb/base/result.h"

namespace ebb::frontend::cli {

/// The address of the front end to ask: `wanted` if given, else the only one that runs for this user. invalid_argument
/// names all where there are several.
Result<std::string> choose_front_end(const std::string& wanted);

/// Each prints to standard output, as a table or as JSON.
Result<void> print_nodes(const std::string& address, bool json);
Result<void> print_objects(const std::string& address, bool json);
/// The traces that the front end keeps; one of them, as a tree (`id`: the first digits will do).
Result<void> print_traces(const std::string& address, bool json);
Result<void> print_trace(const std::string& address, const std::string& id, bool json);
/// From now on so many of a million calls that begin no trace otherwise are traced.
Result<void> set_sampling(const std::string& address, std::uint32_t per_million);
/// How long methods take, over all nodes.
Result<void> print_methods(const std::string& address, bool json);
/// One line for each change, until the front end ends or `ebb` is interrupted.
Result<void> watch(const std::string& address, bool json);

}  // namespace ebb::frontend::cli
