// The front end's directory: object records in SQLite, in memory or in a file.
#pragma once

#include <memory>
#include <string>

#include "ebb/object/directory.h"

namespace ebb::frontend::directory {

/// Opens the directory; with an empty `file` it lives in memory. A file keeps its records and goes on counting where it
/// stopped; ids of ended objects come back as Directory::retire says. Ids are below `limit` (at most kMaxObjects).
/// Every core may use it: one mutex is held for one statement, microseconds in memory; a write to a file may wait for
/// the disk now and then. After a crash of the machine the last records may be missing, but the file is whole.
/// Errors: address_in_use (another program has the file open), malformed (no directory, or of another version),
/// permission_denied or not_found (cannot be opened), unavailable.
Result<std::unique_ptr<Directory>> open_sqlite_directory(const std::string& file, std::uint32_t limit = kMaxObjects,
                                                         IdReuse reuse = {});

}  // namespace ebb::frontend::directory
