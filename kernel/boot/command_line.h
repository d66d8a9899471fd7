// The kernel's command line as main()'s arguments.
#pragma once

#include <cstddef>

namespace kernel::boot {

inline constexpr std::size_t kMaxArguments = 64;

/// Splits at blanks; double quotes keep blanks together, a backslash takes the next character as it is. Arguments beyond
/// kMaxArguments are left out. The result points into a copy that stays. Returns how many.
std::size_t split_command_line(const char* line, char** arguments) noexcept;

}  // namespace kernel::boot
