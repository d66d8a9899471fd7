#include "ebb/wire/codec.h"

#include <gtest/gtest.h>

#include <random>

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
  EXPECT_NE(name_of<std::chrono::seconds>(), name_of<std::chrono::milliseconds>());
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

TEST(RemoteMethods, AreThoseWhoseTypesTravel) {
  ASSERT_EQ(detail::kTypeDescriptor<Stranger>.methods.size(), 1u);
  EXPECT_EQ(detail::kTypeDescriptor<Stranger>.methods[0].name, "shared");
  EXPECT_EQ(detail::kTypeDescriptor<Stranger>.methods[0].id,
            fnv1a("test.Stranger/1#shared(string,list<struct<i32,optional<string,>,>,>,)"));
  static_assert(wire::travels<ref<Target>>);
  EXPECT_EQ((name_of<ref<Target>>()), fnv1a("ref<test.Target/1>"));
}

}  // namespace
