// Console bytes become lines that are safe to print.
#include "frontend/nodes/line_splitter.h"

#include <gtest/gtest.h>

#include <vector>

namespace ebb::frontend::nodes {
namespace {

std::vector<std::string> lines_of(std::vector<std::string_view> pieces) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  auto keep = [&](std::string_view line) { lines.emplace_back(line); };
  for (auto piece : pieces) splitter.feed(piece, keep);
  splitter.finish(keep);
  return lines;
}

TEST(LineSplitter, JoinsPiecesAndDropsCarriageReturns) {
  EXPECT_EQ(lines_of({"bo", "oted\r\n\nre", "ady"}), (std::vector<std::string>{"booted", "", "ready"}));
}

TEST(LineSplitter, DefusesEscapeSequences) { EXPECT_EQ(lines_of({"\x1b[2Jx\n"}), (std::vector<std::string>{"?[2Jx"})); }

TEST(LineSplitter, BoundsALineWithoutEnd) {
  const auto lines = lines_of({std::string(kMaxLineBytes + 3, 'a')});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), kMaxLineBytes);
  EXPECT_EQ(lines[1], "aaa");
}

}  // namespace
}  // namespace ebb::frontend::nodes
