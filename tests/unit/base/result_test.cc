#include "ebb/base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace {

TEST(Result, CarriesAMoveOnlyValueOut) {
  ebb::Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  ASSERT_TRUE(result);
  EXPECT_EQ(*std::move(result).value(), 7);
}

TEST(Result, ValueOfAnErrorThrowsItWithItsText) {
  ebb::Result<int> result(ebb::Error(ebb::Errc::node_gone, "node 3 closed its connection"));
  EXPECT_FALSE(result);
  EXPECT_EQ(result.code(), ebb::Errc::node_gone);
  try {
    static_cast<void>(result.value());
    FAIL() << "no exception";
  } catch (const ebb::ErrorException& exception) {
    EXPECT_STREQ(exception.what(), "node_gone: node 3 closed its connection");
    EXPECT_EQ(exception.error().code(), ebb::Errc::node_gone);
  }
}

TEST(Result, OfVoidIsAValueUntilGivenAnError) {
  ebb::Result<void> fine;
  EXPECT_TRUE(fine);
  EXPECT_EQ(fine.code(), ebb::Errc::ok);
  ebb::Result<void> bad(ebb::Error(ebb::Errc::too_large, ""));
  EXPECT_FALSE(bad);
  EXPECT_THROW(bad.value(), ebb::ErrorException);
}

TEST(Error, HasACodeOfAnError) {
  EXPECT_EQ(ebb::Error(ebb::Errc::ok, "a method's own").code(), ebb::Errc::internal);
  EXPECT_EQ(ebb::Error(static_cast<ebb::Errc>(22), "").code(), ebb::Errc::internal);
  EXPECT_EQ(ebb::Error(ebb::Errc::already_exists, "").code(), ebb::Errc::already_exists);
}

TEST(Errc, OfANewerPeerHasAName) {
  EXPECT_EQ(ebb::name(static_cast<ebb::Errc>(999)), "unknown_error");
  EXPECT_EQ(ebb::name(ebb::Errc::version_mismatch), "version_mismatch");
}

}  // namespace
