// Parcels on one node: what they carry, and what bounds them. Between nodes: tests/cluster/states.
#include "src/object/parcel.h"

#include <gtest/gtest.h>

#include <functional>

#include "ebb/async.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::detail::fetch_parcel;
using ebb::detail::kMaxParcel;
using ebb::detail::kParcelPart;
using ebb::detail::kParcelService;
using ebb::detail::Parcel;
using ebb::detail::send_parcel;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 2654435761U) >> 13);
  return bytes;
}

ebb::task<int> carry() {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kParcelPart, kParcelPart + 1, 5 * kParcelPart + 12345}) {
    Parcel parcel = send_parcel(pattern(size)).value();
    EXPECT_EQ(parcel.size, size);
    EXPECT_EQ(parcel.number != 0, size > kParcelPart);
    // Another core fetches what this one keeps.
    auto there = [moved = std::move(parcel)]() mutable { return fetch_parcel(std::move(moved)); };
    const auto fetched = co_await ebb::on_core(CoreIndex{1}, std::move(there));
    EXPECT_EQ(fetched.value(), pattern(size));
  }
  co_await ebb::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(kParcelService->kept_bytes(), 0u) << "a parcel was fetched and kept";
  co_return 0;
}

TEST(Parcel, CarriesMoreThanOnePartToAnotherCore) { EXPECT_EQ(run(carry), 0); }

ebb::task<int> refuse() {
  Parcel kept = send_parcel(pattern(2 * kParcelPart)).value();
  Parcel lies = kept;
  lies.size += 1;
  EXPECT_EQ((co_await fetch_parcel(std::move(lies))).code(), Errc::malformed);
  Parcel shorter = kept;
  shorter.size = 10;
  EXPECT_EQ((co_await fetch_parcel(std::move(shorter))).code(), Errc::malformed);
  Parcel huge = kept;
  huge.size = kMaxParcel + 1;
  EXPECT_EQ((co_await fetch_parcel(std::move(huge))).code(), Errc::malformed);
  Parcel again = kept;
  EXPECT_TRUE(co_await fetch_parcel(std::move(kept)));
  co_await ebb::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ((co_await fetch_parcel(std::move(again))).code(), Errc::not_found);
  EXPECT_EQ(send_parcel(std::vector<std::byte>(kMaxParcel + 1)).code(), Errc::too_large);
  co_return 0;
}

TEST(Parcel, IsRefusedWhereItsSizeIsWrongOrItIsKeptNoMore) { EXPECT_EQ(run(refuse), 0); }

ebb::task<int> fill() {
  std::vector<Parcel> under_way;
  ebb::Result<Parcel> next = send_parcel(std::vector<std::byte>(kMaxParcel));
  while (next && under_way.size() < 10) {
    under_way.push_back(*std::move(next));
    next = send_parcel(std::vector<std::byte>(kMaxParcel));
  }
  EXPECT_EQ(under_way.size(), ebb::detail::kMaxKeptParcels / kMaxParcel);
  EXPECT_EQ(next.code(), Errc::overloaded);
  co_return 0;
}

TEST(Parcel, KeepsNoMoreThanItsBound) { EXPECT_EQ(run(fill), 0); }

}  // namespace
