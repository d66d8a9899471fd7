// Texts from nodes, made fit for protobuf, terminals and tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb::frontend::service {

inline constexpr std::size_t kMostOfText = 256;

/// At most kMostOfText bytes of `text`, which may be anything: UTF-8 [RFC 3629] stays as it is; what is none, and control
/// characters, become '?'.
std::string printable(std::string_view text);

}  // namespace ebb::frontend::service
