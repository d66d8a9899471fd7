#include "ebb/wire/codec.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>
#include <unordered_set>

#include "ebb/object.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

enum class Colour : std::uint8_t { red = 1, blue = 7 };
enum Loose { something };
enum Fixed : std::int16_t { fixed = -2 };

struct Place {
  std::int32_t x = 0;
  std::optional<std::string> name;
  friend bool operator==(const Place&, const Place&) = default;
};
struct Journey {
  std::vector<Place> places;
  std::map<std::string, double> tolls;
  Colour colour{};
  friend bool operator==(const Journey&, const Journey&) = default;
};
struct WithPointer {
  int* place;
};
struct WithConstructor {
  WithConstructor(int) {}
};
struct Nothing {};

static_assert(wire::travels<Journey>);
static_assert(wire::travels<Fixed>);
static_assert(!wire::travels<Loose>, "its width is the compiler's choice");
static_assert(!wire::travels<WithPointer>);
static_assert(!wire::travels<WithConstructor>);
static_assert(!wire::travels<Nothing>);
static_assert(!wire::travels<int*>);
static_assert(!wire::travels<int&>);
static_assert(!wire::travels<std::string_view>, "it owns nothing; a parameter may be one, a value may not");
static_assert(!wire::travels<wchar_t>);
static_assert(!wire::travels<long double>);
static_assert(!wire::travels<std::vector<int*>>);

template <class T>
std::uint64_t name_of() {
  return wire::Codec<T>::name(kFnvOffset);
}

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

template <class T>
void expect_bytes(const T& value, std::initializer_list<int> expected) {
  EXPECT_EQ(wire::encode(value), bytes(expected));
  const std::optional<T> decoded = wire::decode<T>(bytes(expected));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded, value);
}

TEST(Codec, LaysValuesOutAsTheProtocolSays) {
  expect_bytes(true, {1});
  expect_bytes(std::uint8_t{200}, {200});
  expect_bytes(std::int32_t{-2}, {0xfe, 0xff, 0xff, 0xff});
  expect_bytes(std::uint64_t{0x0102030405060708}, {8, 7, 6, 5, 4, 3, 2, 1});
  expect_bytes(1.0, {0, 0, 0, 0, 0, 0, 0xf0, 0x3f});
  expect_bytes(Colour::blue, {7});
  expect_bytes(fixed, {0xfe, 0xff});
  expect_bytes(std::string("hi"), {2, 0, 0, 0, 'h', 'i'});
  expect_bytes(ObjectId(1025), {1, 4, 0, 0});
  expect_bytes(std::vector<std::uint16_t>{1, 2}, {2, 0, 0, 0, 1, 0, 2, 0});
  expect_bytes(std::array<std::uint8_t, 3>{1, 2, 3}, {1, 2, 3});
  expect_bytes(std::optional<std::uint8_t>{}, {0});
  expect_bytes(std::optional<std::uint8_t>{9}, {1, 9});
  expect_bytes(std::tuple<std::uint8_t, bool>{5, false}, {5, 0});
  expect_bytes(std::map<std::uint8_t, bool>{{1, true}, {2, false}}, {2, 0, 0, 0, 1, 1, 2, 0});
  expect_bytes(std::set<std::uint8_t>{1, 3}, {2, 0, 0, 0, 1, 3});
  expect_bytes(std::chrono::milliseconds(258), {2, 1, 0, 0, 0, 0, 0, 0});
  expect_bytes(std::chrono::sys_seconds(258s), {2, 1, 0, 0, 0, 0, 0, 0});
  expect_bytes(std::vector<bool>{true, false}, {2, 0, 0, 0, 1, 0});
  expect_bytes(std::unordered_map<std::uint8_t, bool>{{1, true}}, {1, 0, 0, 0, 1, 1});
  expect_bytes(std::unordered_set<std::string>{"hi"}, {1, 0, 0, 0, 2, 0, 0, 0, 'h', 'i'});
  expect_bytes(Place{1, "x"}, {1, 0, 0, 0, 1, 1, 0, 0, 0, 'x'});
}

TEST(Codec, NamesTypesTheSameForEveryCompiler) {
  EXPECT_EQ(name_of<std::int64_t>(), fnv1a("i64"));
  EXPECT_EQ(name_of<long long>(), fnv1a("i64"));
  EXPECT_EQ(name_of<double>(), fnv1a("f64"));
  EXPECT_EQ(name_of<char>(), fnv1a("char"));
  EXPECT_EQ((name_of<std::vector<std::string>>()), fnv1a("list<string,>"));
  EXPECT_EQ((name_of<std::map<std::string, bool>>()), fnv1a("map<tuple<string,bool,>,>"));
  EXPECT_EQ((name_of<std::unordered_map<std::string, bool>>()), (name_of<std::map<std::string, bool>>()));
  EXPECT_EQ(name_of<Place>(), fnv1a("struct<i32,optional<string,>,>"));
  EXPECT_EQ(name_of<Colour>(), fnv1a("enum<u8,>"));
  EXPECT_EQ(name_of<std::vector<bool>>(), fnv1a("list<bool,>"));
  EXPECT_EQ(name_of<std::unordered_set<char>>(), fnv1a("set<char,>"));
  EXPECT_EQ(name_of<std::optional<std::optional<bool>>>(), fnv1a("optional<optional<bool,>,>"));
}

TEST(Codec, NamesTimesWithTheirPeriodInLowestTerms) {
  using std::chrono::duration;
  EXPECT_EQ(name_of<std::chrono::milliseconds>(), fnv1a("duration<i64,>/1/1000"));
  EXPECT_EQ(name_of<std::chrono::seconds>(), fnv1a("duration<i64,>/1/1"));
  EXPECT_EQ((name_of<duration<double, std::ratio<7200, 2>>>()), fnv1a("duration<f64,>/3600/1"));
  EXPECT_EQ((name_of<duration<std::int32_t, std::ratio<20, 300>>>()), fnv1a("duration<i32,>/1/15"));
  EXPECT_EQ((name_of<duration<std::int64_t, std::atto>>()), fnv1a("duration<i64,>/1/1000000000000000000"));
  EXPECT_EQ(name_of<std::chrono::system_clock::time_point>(), fnv1a("moment<duration<i64,>/1/1000000000,>"));
}

TEST(Codec, KeepsAnOptionalOfNothingApartFromNothing) {
  using Nested = std::optional<std::optional<std::uint8_t>>;
  expect_bytes(Nested(), {0});
  expect_bytes(Nested(std::in_place), {1, 0});
  expect_bytes(Nested(std::in_place, std::uint8_t{7}), {1, 1, 7});
}

TEST(Codec, BringsHashedContainersBack) {
  std::unordered_map<std::string, std::vector<std::uint32_t>> map;
  std::unordered_set<std::uint32_t> set;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    map[std::to_string(i)] = {i, i + 1};
    set.insert(i * 4096);
  }
  EXPECT_EQ(wire::decode<decltype(map)>(wire::encode(map)), map);
  EXPECT_EQ(wire::decode<decltype(set)>(wire::encode(set)), set);
}

TEST(Codec, RefusesKeysThatWereChosenToCollide) {
  // std::hash of a number is the number: these have one place in the table that so many elements are given.
  constexpr std::size_t kKeys = 200'000;
  std::unordered_set<std::uint64_t> table;
  table.reserve(kKeys);
  std::vector<std::uint64_t> keys;
  for (std::size_t i = 0; i < kKeys; ++i) keys.push_back(i * table.bucket_count());
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(wire::decode<std::unordered_set<std::uint64_t>>(wire::encode(keys)), std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  EXPECT_TRUE(wire::decode<std::set<std::uint64_t>>(wire::encode(keys)).has_value());
}

TEST(Codec, BoundsTheMemoryOfWhatItReadsByTheBytesItCameIn) {
  using Texts = std::vector<std::optional<std::string>>;
  const auto whole = wire::encode(Texts(100'000));
  wire::Reader reader(whole);
  const Texts texts = wire::Codec<Texts>::read(reader);
  EXPECT_TRUE(reader.too_large());
  EXPECT_EQ(texts.capacity(), 0u) << "refused before anything was reserved";
  EXPECT_EQ(wire::decode<Texts>(whole), std::nullopt);
  EXPECT_TRUE(wire::decode<Texts>(wire::encode(Texts(1'000))).has_value()) << "a small one may be empty";
  EXPECT_TRUE(wire::decode<Texts>(wire::encode(Texts(100'000, "word"))).has_value());
  std::set<std::uint16_t> numbers;
  for (int each = 0; each < 65'536; ++each) numbers.insert(static_cast<std::uint16_t>(each));
  EXPECT_EQ(wire::decode<std::set<std::uint16_t>>(wire::encode(numbers)), numbers);
}

TEST(Codec, BringsNestedValuesBack) {
  const Journey journey{{{-1, "home"}, {2, std::nullopt}}, {{"bridge", 2.5}}, Colour::red};
  EXPECT_EQ(wire::decode<Journey>(wire::encode(journey)), journey);
}

TEST(Codec, RefusesWhatDoesNotDecode) {
  EXPECT_EQ(wire::decode<bool>(bytes({2})), std::nullopt);
  EXPECT_EQ(wire::decode<std::uint32_t>(bytes({1, 2, 3})), std::nullopt) << "too short";
  EXPECT_EQ(wire::decode<std::uint8_t>(bytes({1, 2})), std::nullopt) << "something is left over";
  EXPECT_EQ(wire::decode<std::string>(bytes({255, 255, 255, 255, 'a'})), std::nullopt) << "a count beyond the bytes";
  EXPECT_EQ(wire::decode<ObjectId>(bytes({0, 0, 0, 1})), std::nullopt) << "an id beyond every table";
  EXPECT_EQ((wire::decode<std::set<std::uint8_t>>(bytes({2, 0, 0, 0, 1, 1}))), std::nullopt) << "a key twice";
}

TEST(Codec, SurvivesEveryTruncationAndRandomBytes) {
  const auto whole = wire::encode(Journey{{{-1, "home"}, {2, std::nullopt}}, {{"bridge", 2.5}}, Colour::red});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(wire::decode<Journey>(std::span(whole).first(size)), std::nullopt) << size;
  }
  std::mt19937 random(20260923);
  for (int round = 0; round < 20'000; ++round) {
    auto garbled = whole;
    for (int change = 0; change < 3; ++change) garbled[random() % garbled.size()] = static_cast<std::byte>(random());
    if (const auto decoded = wire::decode<Journey>(garbled)) {
      EXPECT_EQ(wire::decode<Journey>(wire::encode(*decoded)).has_value(), true);
    }
  }
}

struct Target {
  void narrow(std::uint32_t) {}
  using interface = ebb::interface<"test.Target/1", ebb::method<"narrow", &Target::narrow>>;
};
struct Stranger {
  void local_only(int*) {}
  void shared(std::string_view, const std::vector<Place>&) {}
  using interface = ebb::interface<"test.Stranger/1", ebb::method<"local_only", &Stranger::local_only>,
                                   ebb::method<"shared", &Stranger::shared>>;
};

struct Taker {
  void take(std::vector<std::optional<std::string>>) {}
  using interface = ebb::interface<"test.Taker/1", ebb::method<"take", &Taker::take>>;
};

Errc code_of_a_call_with(std::vector<std::byte> encoded) {
  Taker taker;
  auto call = detail::kTypeDescriptor<Taker>.methods[0].invoke(&taker, std::move(encoded));
  auto awaiter = std::move(call).operator co_await();
  awaiter.await_suspend(std::noop_coroutine()).resume();  // it waits for nothing: it runs to its end
  return awaiter.await_resume().code();
}

TEST(RemoteMethods, SayWhetherArgumentsAreWrongOrTooLargeInMemory) {
  using Texts = std::vector<std::optional<std::string>>;
  EXPECT_EQ(code_of_a_call_with(wire::encode(std::tuple(Texts(1'000)))), Errc::ok);
  EXPECT_EQ(code_of_a_call_with(wire::encode(std::tuple(Texts(100'000)))), Errc::too_large);
  EXPECT_EQ(code_of_a_call_with(bytes({1, 0, 0, 0})), Errc::malformed);
}

TEST(RemoteMethods, AreThoseWhoseTypesTravel) {
  ASSERT_EQ(detail::kTypeDescriptor<Stranger>.methods.size(), 1u);
  EXPECT_EQ(detail::kTypeDescriptor<Stranger>.methods[0].name, "shared");
  EXPECT_EQ(detail::kTypeDescriptor<Stranger>.methods[0].id,
            fnv1a("test.Stranger/1#shared(string,list<struct<i32,optional<string,>,>,>,)"));
  static_assert(wire::travels<ref<Target>>);
  EXPECT_EQ((name_of<ref<Target>>()), fnv1a("ref<test.Target/1>"));
}

}  // namespace
