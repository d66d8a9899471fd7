// What is made of other things: classes with listed fields, alternatives, and views of a call's bytes.
#include <gtest/gtest.h>

#include <array>
#include <tuple>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/wire/codec.h"

namespace {

using namespace ebb;

class Account {
 public:
  Account() = default;
  explicit Account(std::int64_t cents) : cents_(cents) {}
  std::int64_t cents() const { return cents_; }
  std::string cache = "here only";

 private:
  std::int64_t cents_ = 0;
  std::vector<std::string> owners_{"nobody"};

 public:
  using fields = ebb::fields<&Account::cents_, &Account::owners_>;
};

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}
template <class T>
std::uint64_t name_of() {
  return wire::Codec<T>::name(kFnvOffset);
}

TEST(ListedFields, TravelInTheOrderOfTheListAndLeaveTheOthersBehind) {
  Account account(258);
  account.cache = "changed";
  const auto encoded = wire::encode(account);
  EXPECT_EQ(encoded, bytes({2, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 'n', 'o', 'b', 'o', 'd', 'y'}));
  const auto decoded = wire::decode<Account>(encoded);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->cents(), 258);
  EXPECT_EQ(decoded->cache, "here only");
  EXPECT_EQ(name_of<Account>(), fnv1a("struct<i64,list<string,>,>"));
}

using Choice = std::variant<std::monostate, std::uint16_t, std::string>;

TEST(Variants, TravelAsTheirNumberAndValue) {
  EXPECT_EQ(wire::encode(Choice()), bytes({0}));
  EXPECT_EQ(wire::encode(Choice(std::uint16_t{258})), bytes({1, 2, 1}));
  EXPECT_EQ(wire::decode<Choice>(bytes({2, 1, 0, 0, 0, 'x'})), Choice("x"));
  EXPECT_EQ(wire::decode<Choice>(bytes({0})), Choice());
  EXPECT_EQ(wire::decode<Choice>(bytes({3})), std::nullopt) << "there is no fourth alternative";
  EXPECT_EQ(wire::decode<Choice>(bytes({1, 2})), std::nullopt);
  EXPECT_EQ(name_of<Choice>(), fnv1a("variant<none,u16,string,>"));
}

TEST(Results, TravelInsideOfOtherValues) {
  using Answers = std::vector<Result<std::uint8_t>>;
  Answers answers{std::uint8_t{7}, Error(Errc::not_found, "no")};
  const auto encoded = wire::encode(answers);
  EXPECT_EQ(encoded, bytes({2, 0, 0, 0, 1, 7, 0, 14, 0, 2, 0, 0, 0, 'n', 'o'}));
  const auto decoded = wire::decode<Answers>(encoded);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*(*decoded)[0], 7);
  EXPECT_EQ((*decoded)[1].code(), Errc::not_found);
  EXPECT_EQ((*decoded)[1].error().text(), "no");
  EXPECT_EQ(name_of<Answers>(), fnv1a("list<result<u8,>,>"));
  EXPECT_TRUE(wire::decode<Result<void>>(bytes({1})).value().has_value());
}

TEST(Results, ReadAnUnknownCodeAsInternalAndRefuseAnErrorThatIsNone) {
  const auto unknown = wire::decode<Result<void>>(bytes({0, 255, 255, 0, 0, 0, 0}));
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->code(), Errc::internal);
  EXPECT_FALSE(wire::decode<Result<void>>(bytes({0, 0, 0, 0, 0, 0, 0})).has_value());
}

TEST(Tuples, NestAndKeepTheOrderOfTheirElements) {
  using Nested = std::tuple<std::pair<std::uint8_t, std::tuple<std::uint8_t, std::uint8_t>>, std::uint8_t>;
  const Nested value{{1, {2, 3}}, 4};
  EXPECT_EQ(wire::encode(value), bytes({1, 2, 3, 4}));
  EXPECT_EQ(wire::decode<Nested>(bytes({1, 2, 3, 4})), value);
  EXPECT_EQ(name_of<Nested>(), fnv1a("tuple<tuple<u8,tuple<u8,u8,>,>,u8,>"));
}

TEST(Views, LookAtTheBytesThatCameWithoutACopy) {
  using Arguments = std::tuple<wire::Text, wire::Sequence<std::byte>>;
  const auto encoded = wire::encode(Arguments(std::string("text"), std::vector<std::byte>(8)));
  auto decoded = wire::decode<Arguments>(encoded);
  ASSERT_TRUE(decoded.has_value());
  const Arguments moved = *std::move(decoded);
  const std::string_view text = std::get<0>(moved);
  const std::span<const std::byte> run = std::get<1>(moved);
  EXPECT_EQ(text, "text");
  EXPECT_EQ(static_cast<const void*>(text.data()), encoded.data() + 4);
  EXPECT_EQ(run.size(), 8u);
  EXPECT_EQ(run.data(), encoded.data() + 12);
}

TEST(Views, CopyNumbersThatAreNotAligned) {
  const std::vector<std::uint32_t> values{1, 2, 3};
  const auto encoded = wire::encode(values);
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::vector<std::byte> shifted(shift);
    shifted.insert(shifted.end(), encoded.begin(), encoded.end());
    wire::Reader reader{std::span<const std::byte>(shifted).subspan(shift)};
    const auto read = wire::Codec<wire::Sequence<std::uint32_t>>::read(reader);
    const std::span<const std::uint32_t> run = read;
    ASSERT_TRUE(reader.finished());
    EXPECT_TRUE(std::ranges::equal(run, values)) << shift;
    EXPECT_EQ(static_cast<const void*>(run.data()) == shifted.data() + shift + 4, shift == 0) << shift;
  }
}

TEST(Views, KeepWhatTheCallerGaveThem) {
  std::vector<std::byte> given = bytes({1, 2, 3});
  wire::Sequence<std::byte> kept = std::span<const std::byte>(given);
  wire::Text text = std::string_view("short");
  given.assign(3, std::byte{});
  const auto moved = std::move(kept);
  const auto moved_text = std::move(text);
  EXPECT_EQ(wire::encode(moved), bytes({3, 0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(std::string_view(moved_text), "short");
}

struct Reader {
  const std::byte* seen = nullptr;
  std::uint64_t sum(std::string_view, std::span<const std::byte> run) {
    seen = run.data();
    return run.size();
  }
  using interface = ebb::interface<"test.Reader/1", ebb::method<"sum", &Reader::sum>>;
};

TEST(Views, ReachAMethodWithoutACopyOfTheCallsBytes) {
  auto encoded = wire::encode(std::tuple(std::string("name"), std::vector<std::byte>(1000)));
  const std::byte* const run = encoded.data() + 12;
  Reader reader;
  auto call = detail::kTypeDescriptor<Reader>.methods[0].invoke(&reader, std::move(encoded));
  auto awaiter = std::move(call).operator co_await();
  awaiter.await_suspend(std::noop_coroutine()).resume();  // it waits for nothing: it runs to its end
  EXPECT_EQ(reader.seen, run);
  EXPECT_EQ(awaiter.await_resume().value(), wire::encode(std::uint64_t{1000}));
}

/// Takes and gives results inside of values, and as they are.
struct Judge {
  std::int32_t worth(ebb::Result<std::int32_t> one, std::array<ebb::Result<std::int32_t>, 2> two) const {
    std::int32_t sum = one ? *one : -1;
    for (const auto& each : two) sum += each ? *each : -100;
    return sum;
  }
  using interface = ebb::interface<"test.Judge/1", ebb::method<"worth", &Judge::worth>>;
};

TEST(Results, AreArguments) {
  Judge judge;
  const auto* method = ebb::detail::kTypeDescriptor<Judge>.find(Judge::interface::method_id<&Judge::worth>());
  ASSERT_NE(method, nullptr);
  const ebb::Result<std::int32_t> none = ebb::Error(ebb::Errc::not_found, "none");
  const auto arguments = std::tuple(ebb::Result<std::int32_t>(5), std::array<ebb::Result<std::int32_t>, 2>{none, ebb::Result<std::int32_t>(7)});
  ebb::Result<std::int32_t> answer(0);
  const int status = ebb::run_cores(1, [&]() -> ebb::task<int> {
    const auto bytes = co_await method->invoke(&judge, ebb::wire::encode(arguments));
    answer = ebb::wire::decode<std::int32_t>(bytes.value()).value();
    co_return 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(answer.value(), 5 - 100 + 7);
}

class Base {
 public:
  Base() = default;
  std::int32_t a = 0;
  using fields = ebb::fields<&Base::a>;
};
struct Longer : Base {
  std::int32_t b = 0;
};
struct Relisted : Base {
  std::int32_t b = 0;
  using fields = ebb::fields<&Relisted::a, &Relisted::b>;
};
struct Renamed : Base {};

static_assert(ebb::wire::travels<Base>);
static_assert(!ebb::wire::travels<Longer>, "its own member would stay behind");
static_assert(ebb::wire::travels<Relisted>);
static_assert(ebb::wire::travels<Renamed>);

}  // namespace
