// What nodes may call things, and what becomes of it.
#include "frontend/service/printable.h"

#include <gtest/gtest.h>

namespace ebb::frontend::service {
namespace {

TEST(Printable, LeavesTextsOfEveryLanguageAlone) {
  for (const std::string text : {"demo.Counter/1.add", "pr\u00fcfen", "\u540d\u524d", "\U0001f980", "\u00a0\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff", ""}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, ReplacesWhatATerminalObeys) {
  EXPECT_EQ(printable(std::string("a\n\x1b[2J\0\x7f", 8)), "a??[2J??");
  EXPECT_EQ(printable("\xc2\x9b" "31m"), "?31m") << "a control character of two bytes";
}

TEST(Printable, ReplacesWhatIsNoUtf8ByteByByte) {
  EXPECT_EQ(printable("\xff\x80 a"), "?? a");
  EXPECT_EQ(printable("\xc3"), "?") << "cut off";
  EXPECT_EQ(printable("\xe5\x90"), "??");
  EXPECT_EQ(printable("\xc3+\xe5\x90+"), "?+??+") << "goes on with something else";
  EXPECT_EQ(printable("\xc0\x80\xc1\xbf"), "????") << "longer than need be";
  EXPECT_EQ(printable("\xe0\x9f\xbf\xf0\x8f\xbf\xbf"), "???????") << "longer than need be";
  EXPECT_EQ(printable("\xed\xa0\x80"), "???") << "half of a pair";
  EXPECT_EQ(printable("\xf4\x90\x80\x80\xf5\x80\x80\x80"), "????????") << "beyond the last character";
}

TEST(Printable, LeavesALineItsTabsAndCutsItLater) {
  EXPECT_EQ(printable_line("a\tb\x1b[2J\n\u009b31m\x9b"), "a\tb?[2J??31m?");
  EXPECT_EQ(printable_line(std::string(10'000, 'a')), std::string(kMostOfLine, 'a'));
  EXPECT_EQ(printable_line(std::string(kMostOfLine - 1, 'a') + "\u00fc"), std::string(kMostOfLine - 1, 'a'));
}

TEST(Printable, CutsLongTextsBetweenCharacters) {
  EXPECT_EQ(printable(std::string(10'000, 'a')), std::string(kMostOfText, 'a'));
  EXPECT_EQ(printable(std::string(kMostOfText - 1, 'a') + "\u00fc"), std::string(kMostOfText - 1, 'a'));
  EXPECT_EQ(printable(std::string(10'000, '\xff')), std::string(kMostOfText, '?'));
}

}  // namespace
}  // namespace ebb::frontend::service
