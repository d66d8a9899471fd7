// The list of members on its way to them.
#include "src/node/news.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "ebb/async.h"

namespace ebb::detail {
namespace {

/// Takes the lists; the first one only when `open`, and then with an exception.
struct Member {
  std::vector<std::uint64_t> known;  // before each
  Completion<> open;

  static task<Result<std::uint64_t>> take(Member* self, std::uint64_t known) {
    self->known.push_back(known);
    const std::size_t lists = self->known.size();
    if (lists == 1) {
      co_await self->open;
      throw std::runtime_error("no timer");
    }
    co_return lists;
  }
};

task<void> bring(News* news, std::uint64_t version, std::vector<Result<void>>* ended) {
  Result<void> brought = co_await news->bring(NodeId{1}, version);
  ended->push_back(std::move(brought));
}

TEST(News, GoesOnAfterAnAttemptThatThrows) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    Member member;
    News news([&member](NodeId, std::uint64_t known) { return Member::take(&member, known); });
    Scope scope;
    std::vector<Result<void>> ended;
    scope.spawn(bring(&news, 1, &ended));
    scope.spawn(bring(&news, 2, &ended));
    while (member.known.empty()) co_await yield();
    for (int i = 0; i < 10; ++i) co_await yield();  // the other waits for the end of the attempt
    EXPECT_TRUE(news.under_way(NodeId{1}));
    member.open.complete();
    for (int i = 0; i < 1000 && ended.size() < 2; ++i) co_await yield();
    EXPECT_FALSE(news.under_way(NodeId{1}));
    EXPECT_EQ(ended.size(), 2u) << "who waited for it waits for ever";
    if (ended.size() != 2) co_return 1;
    EXPECT_EQ(ended[0].code(), Errc::application_error);
    EXPECT_TRUE(ended[1]) << "one more attempt would have told it";
    EXPECT_TRUE(co_await news.bring(NodeId{1}, 3));
    EXPECT_EQ(member.known, (std::vector<std::uint64_t>{0, 0, 2}));
    co_await scope.join();
    co_return 0;
  }), 0);
}

}  // namespace
}  // namespace ebb::detail
