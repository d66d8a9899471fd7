// What every directory promises, as tests that any implementation can be put to: link directory_conformance, and instantiate
// DirectoryConformance with what makes one.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ebb/object/directory.h"

namespace ebb::conformance {

/// Makes an empty directory of ids below a limit, which come back so.
using DirectoryFactory = std::function<std::unique_ptr<Directory>(std::uint32_t limit, IdReuse reuse)>;

class DirectoryConformance : public testing::TestWithParam<DirectoryFactory> {};

template <class T>
detail::Detached keep(task<T> work, std::optional<T>* result) {
  result->emplace(co_await std::move(work));
}

/// What `work` gives, of a directory that never waits for an event loop: its tasks end where they start.
template <class T>
T now(task<T> work) {
  std::optional<T> result;
  keep(std::move(work), &result);
  return std::move(result).value();
}

inline NewObject wanted(std::string interface_name, std::uint64_t interface_id, NodeId home, std::string name = {}) {
  return {std::move(interface_name), interface_id, "per_core", home, {}, std::move(name)};
}

}  // namespace ebb::conformance
