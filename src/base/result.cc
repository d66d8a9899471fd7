#include "ebb/base/result.h"

namespace ebb {

std::string_view name(Errc code) noexcept {
  switch (code) {
    case Errc::ok: return "ok";
    case Errc::application_error: return "application_error";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::cancelled: return "cancelled";
    case Errc::node_gone: return "node_gone";
    case Errc::no_such_object: return "no_such_object";
    case Errc::no_such_method: return "no_such_method";
    case Errc::interface_mismatch: return "interface_mismatch";
    case Errc::overloaded: return "overloaded";
    case Errc::too_large: return "too_large";
    case Errc::malformed: return "malformed";
    case Errc::unauthenticated: return "unauthenticated";
    case Errc::unavailable: return "unavailable";
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::resource_exhausted: return "resource_exhausted";
    case Errc::permission_denied: return "permission_denied";
    case Errc::address_in_use: return "address_in_use";
    case Errc::internal: return "internal";
    case Errc::version_mismatch: return "version_mismatch";
    case Errc::moved: return "moved";
    case Errc::already_exists: return "already_exists";
  }
  return "unknown_error";  // a newer peer's code
}

std::string Error::to_string() const {
  std::string text(name(code_));
  if (!text_.empty()) {
    text += ": ";
    text += text_;
  }
  return text;
}

}  // namespace ebb
