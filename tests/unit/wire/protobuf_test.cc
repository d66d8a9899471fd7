// Protobuf messages as values that travel.
#include "ebb/wire/protobuf.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <map>

#include "ebb/async.h"
#include "ebb/object.h"

template <>
inline constexpr std::string_view ebb::wire::message_name<google::protobuf::StringValue> = "google.protobuf.StringValue";
template <>
inline constexpr std::string_view ebb::wire::message_name<google::protobuf::Int64Value> = "google.protobuf.Int64Value";

namespace {

using google::protobuf::Int64Value;
using google::protobuf::StringValue;

StringValue text(std::string value) {
  StringValue message;
  message.set_value(std::move(value));
  return message;
}

TEST(Protobuf, TravelsAsALengthAndItsSerializedForm) {
  const std::vector<std::byte> bytes = ebb::wire::encode(text("abc"));
  const unsigned char golden[] = {5, 0, 0, 0, 0x0a, 3, 'a', 'b', 'c'};
  ASSERT_EQ(bytes.size(), sizeof golden);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), reinterpret_cast<const std::byte*>(golden)));
  EXPECT_EQ(ebb::wire::decode<StringValue>(bytes).value().value(), "abc");
  EXPECT_EQ(ebb::wire::decode<StringValue>(ebb::wire::encode(StringValue())).value().value(), "");
}

TEST(Protobuf, TravelsInsideOtherValues) {
  const std::map<std::string, std::vector<StringValue>> all = {{"a", {text("1"), text("2")}}};
  const auto back = ebb::wire::decode<std::map<std::string, std::vector<StringValue>>>(ebb::wire::encode(all));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->at("a").at(1).value(), "2");
}

TEST(Protobuf, RefusesBytesThatAreNoSuchMessage) {
  std::vector<std::byte> bytes = ebb::wire::encode(text("abc"));
  bytes[5] = std::byte{200};  // a string that is longer than the message
  EXPECT_FALSE(ebb::wire::decode<StringValue>(bytes));
  bytes = ebb::wire::encode(text("abc"));
  bytes[0] = std::byte{200};
  EXPECT_FALSE(ebb::wire::decode<StringValue>(bytes)) << "read behind its end";
}

TEST(Protobuf, IsPartOfTheNamesOfMethods) {
  constexpr auto name = [](auto hash) { return ebb::wire::Codec<StringValue>::name(hash); };
  EXPECT_NE(name(std::uint64_t{1}), ebb::wire::Codec<Int64Value>::name(1));
  EXPECT_EQ(name(std::uint64_t{1}), ebb::fnv1a(">", ebb::fnv1a("google.protobuf.StringValue", ebb::fnv1a("protobuf<", 1))));
}

struct Greeter {
  StringValue greet(const StringValue& whom) const { return text("hello " + whom.value()); }
  using interface = ebb::interface<"test.Greeter/1", ebb::method<"greet", &Greeter::greet>>;
};

TEST(Protobuf, IsAnArgumentAndAResult) {
  const auto& method = ebb::detail::kRemoteMethods<Greeter>.front();
  Greeter greeter;
  const int status = ebb::run_cores(1, [&]() -> ebb::task<int> {
    const std::tuple<StringValue> arguments{text("you")};
    auto answer = co_await method.invoke(&greeter, ebb::wire::encode(arguments));
    EXPECT_EQ(ebb::wire::decode<StringValue>(answer.value()).value().value(), "hello you");
    co_return 0;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
