// Texts from nodes and collectors, made fit for protobuf, terminals and tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb::frontend::service {

inline constexpr std::size_t kMostOfText = 256;

/// At most kMostOfText bytes of `text`, which may be anything: UTF-8 [RFC 3629] stays as it is; what is none, and control
/// characters, become '?'.
std::string printable(std::string_view text);

/// As much as platform::write_log prints.
inline constexpr std::size_t kMostOfLine = 4095;

/// The same of a line for a terminal: at most kMostOfLine bytes, and tabs stay too.
std::string printable_line(std::string_view line);

}  // namespace ebb::frontend::service
