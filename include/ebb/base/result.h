// Operating errors as values. A code exists here only because some caller reacts to it.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace ebb {

/// Why an operation did not happen. The numbers travel between nodes (docs/protocol.md) and never change meaning.
enum class Errc : std::uint16_t {
  ok = 0,
  application_error = 1,     ///< a method threw; the text is the exception's
  deadline_exceeded = 2,     ///< the caller's deadline passed; the call may or may not have run
  cancelled = 3,             ///< the caller or a closing scope gave up
  node_gone = 4,             ///< the peer's connection is lost; a call under way may or may not have run
  no_such_object = 5,        ///< the directory does not know the id or name
  no_such_method = 6,        ///< the object's interface on that node lacks the method
  interface_mismatch = 7,    ///< the object exists under another interface
  overloaded = 8,            ///< a bounded queue is full; trying later may help
  too_large = 9,             ///< arguments pass their bound and nothing ran, or a result does and the method did
  malformed = 10,            ///< bytes that do not decode
  unauthenticated = 11,      ///< wrong or missing cluster key
  unavailable = 12,          ///< a dependency (network, libvirt, directory) does not answer
  invalid_argument = 13,     ///< the caller's input is wrong; trying again does not help
  not_found = 14,            ///< a named thing other than an object is missing (file, node, core)
  resource_exhausted = 15,   ///< memory, ids, ports, capacity
  permission_denied = 16,    ///< the operating system or libvirt refused
  address_in_use = 17,       ///< another program holds the port
  internal = 18,             ///< a broken promise of the runtime itself; the text says which
  version_mismatch = 19,     ///< the peer speaks no protocol version of ours
  moved = 20,                ///< the object's home is elsewhere by now; the directory knows where
  already_exists = 21,       ///< the name is taken
};

/// The code's stable, lower-case name, as printed and as shown by tools ("node_gone").
std::string_view name(Errc code) noexcept;

/// A code and one sentence for a person: what happened, to what, and what to do about it.
class [[nodiscard]] Error {
 public:
  /// A code that is no error's (ok, or one that there is not) becomes internal.
  Error(Errc code, std::string text)
      : code_(code == Errc::ok || code > Errc::already_exists ? Errc::internal : code), text_(std::move(text)) {}
  /// By which the runtime says that a call's method has not begun: nothing ran. Only this lets a call be made again (`overloaded`,
  /// `moved`, or `node_gone` where there is another place); a code alone does not, since methods answer with every code.
  static Error refusal(Errc code, std::string text) {
    Error error(code, std::move(text));
    error.refusal_ = true;
    return error;
  }
  bool is_refusal() const noexcept { return refusal_; }
  /// The same as the answer of something that has run, and at most passes on that another call was refused.
  Error as_answer() && {
    refusal_ = false;
    return std::move(*this);
  }
  Errc code() const noexcept { return code_; }
  const std::string& text() const noexcept { return text_; }
  /// "node_gone: node 3 closed its connection"
  std::string to_string() const;

 private:
  Errc code_;
  bool refusal_ = false;
  std::string text_;
};

namespace detail {
/// What an exception says; nothing if its what() is nullptr.
inline const char* text_of(const std::exception& thrown) noexcept {
  const char* const text = thrown.what();
  return text != nullptr ? text : "";
}
}  // namespace detail

/// What Result::value() throws when there is no value. Runtime code never throws it; applications may let it
/// end a method (the remote caller gets the error) or ebb_main (the process prints it and exits with 1).
class ErrorException : public std::exception {
 public:
  explicit ErrorException(Error error) : error_(std::move(error)), what_(error_.to_string()) {}
  const char* what() const noexcept override { return what_.c_str(); }
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
  std::string what_;
};

/// A value or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}      // NOLINT: implicit on purpose
  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  /// The value; throws ErrorException if there is none.
  T& value() & { require(); return std::get<0>(state_); }
  const T& value() const& { require(); return std::get<0>(state_); }
  T&& value() && { require(); return std::get<0>(std::move(state_)); }

  /// The value, unchecked in the way of std::expected: only after a test.
  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }

  /// The error; only when there is no value.
  const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  Error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }
  Errc code() const noexcept { return has_value() ? Errc::ok : error().code(); }

 private:
  void require() const { if (!has_value()) throw ErrorException(error()); }
  std::variant<T, Error> state_;
};

/// Success, or the error why there is none. The members are those of Result<T>.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() noexcept = default;
  Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}      // NOLINT: implicit on purpose
  explicit operator bool() const noexcept { return error_.index() == 0; }
  bool has_value() const noexcept { return error_.index() == 0; }
  void value() const { if (!has_value()) throw ErrorException(error()); }
  const Error& error() const& noexcept { return *std::get_if<1>(&error_); }
  Error&& error() && noexcept { return std::move(*std::get_if<1>(&error_)); }
  Errc code() const noexcept { return has_value() ? Errc::ok : error().code(); }

 private:
  std::variant<std::monostate, Error> error_;
};

}  // namespace ebb
