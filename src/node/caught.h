// Exceptions where work in the background goes on, as after a call that failed.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "ebb/base/result.h"
#include "ebb/object/remote_method.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// What the exception that is being handled comes to. A call throws where this core has no memory, or no timer, for it.
inline Error caught() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      // Said below.
    } catch (...) {
      return to_error(std::current_exception());
    }
  } catch (...) {
    // There is no memory to say what it was.
  }
  return Error(Errc::overloaded, "no memory");  // a text so short needs none
}

/// Says on the log what the exception that is being handled has kept from being done, if there is memory for that.
inline void log_caught(const char* what) noexcept {
  try {
    platform::write_log(std::string("ebb: ") + what + ": " + caught().to_string());
  } catch (...) {
    // Nobody hears of it.
  }
}

}  // namespace ebb::detail
