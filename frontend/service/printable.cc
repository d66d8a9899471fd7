#include "frontend/service/printable.h"

#include <cstdint>

namespace ebb::frontend::service {
namespace {

/// Bytes of the character that `text` (not empty) begins with; 0: it begins with none.
std::size_t character(std::string_view text) {
  const auto at = [text](std::size_t place) { return static_cast<std::uint8_t>(text[place]); };
  const std::uint8_t first = at(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  // The second byte's range leaves out longer forms than needed, surrogates, and what lies above U+10FFFF [RFC 3629 4].
  const std::uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const std::uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at(1) < least || at(1) > most) return 0;
  for (std::size_t place = 2; place < length; ++place) {
    if (at(place) < 0x80 || at(place) > 0xbf) return 0;
  }
  return length;
}

/// Of one byte, or the two of U+0080 to U+009F.
bool is_control(std::string_view character) {
  const auto first = static_cast<std::uint8_t>(character[0]);
  return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<std::uint8_t>(character[1]) < 0xa0);
}

std::string printable(std::string_view text, std::size_t most, bool tabs) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = character(text);
    const std::string_view next = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(next.size());
    const bool shown = length != 0 && (!is_control(next) || (tabs && next == "\t"));
    if (result.size() + (shown ? length : 1) > most) break;
    if (shown) {
      result += next;
    } else {
      result += '?';
    }
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text) { return printable(text, kMostOfText, false); }

std::string printable_line(std::string_view line) { return printable(line, kMostOfLine, true); }

}  // namespace ebb::frontend::service
