// The object of this example: each core counts the pieces that are handed to it in a table of its own.
#pragma once

#include <ebb/async.h>
#include <ebb/object.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

using WordTable = std::map<std::string, std::uint64_t>;

/// A word is a maximal run of ASCII letters, folded to lower case.
constexpr bool is_letter(char character) { return (character | 0x20) >= 'a' && (character | 0x20) <= 'z'; }

struct WordCount {
  std::uint64_t counted = 0;
  std::unordered_map<std::string, std::uint64_t> words;

  /// Adds the words of a piece of text that begins and ends between words.
  void count(std::string_view text) {
    ++counted;
    std::string word;
    for (const char character : text) {
      if (is_letter(character)) {
        word += static_cast<char>(character | 0x20);
      } else if (!word.empty()) {
        ++words[word];
        word.clear();
      }
    }
    if (!word.empty()) ++words[word];
  }
  std::uint64_t pieces() const { return counted; }
  WordTable table() const { return WordTable(words.begin(), words.end()); }

  using interface =
      ebb::interface<"example.WordCount/1", ebb::method<"count", &WordCount::count>,
                     ebb::method<"pieces", &WordCount::pieces>, ebb::method<"table", &WordCount::table>>;
};
