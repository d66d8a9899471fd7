// The format, held fast: values and their exact bytes, methods and their exact ids. Built by every compiler there is, and
// without a test framework, so that two of them are seen to agree. A change here breaks running clusters.
#include <cstdio>
#include <string>

#include "ebb/object/interface.h"

namespace golden {

using namespace ebb;

enum class Colour : std::uint8_t { blue = 7 };
struct Place {
  std::int32_t x = 0;
  std::optional<std::string> name;
};
class Account {
  std::int64_t cents_ = 258;
  bool open_ = true;

 public:
  using fields = ebb::fields<&Account::cents_, &Account::open_>;
};
using Choice = std::variant<std::monostate, std::uint16_t, std::string>;

struct Golden {
  void nothing();
  std::int64_t add(std::int64_t);
  std::vector<std::string> words(std::string_view, std::span<const std::byte>);
  task<Result<Place>> place(const call_context&, const std::map<std::string, double>&, Colour);
  Choice choose(Account, Result<std::uint8_t>, std::chrono::milliseconds) const;
  using interface =
      ebb::interface<"golden.Golden/1", method<"nothing", &Golden::nothing>, method<"add", &Golden::add>,
                     method<"words", &Golden::words>, method<"place", &Golden::place>, method<"choose", &Golden::choose>>;
};

}  // namespace golden

namespace {

using namespace golden;

int failures = 0;

template <class T>
void expect(const char* what, const T& value, const std::string& hexadecimal) {
  std::string seen;
  for (const std::byte each : wire::encode(value)) {
    constexpr char kDigits[] = "0123456789abcdef";
    seen += kDigits[std::to_integer<unsigned>(each) >> 4];
    seen += kDigits[std::to_integer<unsigned>(each) & 15];
  }
  if (seen == hexadecimal) return;
  ++failures;
  std::printf("%s: bytes are %s, must be %s\n", what, seen.c_str(), hexadecimal.c_str());
}

template <auto Member>
void expect_id(const char* signature, std::uint64_t id) {
  constexpr std::uint64_t kId = Golden::interface::method_id<Member>();
  if (kId == id && fnv1a(signature) == id) return;
  ++failures;
  std::printf("%s: id is %#llx, must be %#llx; its text hashes to %#llx\n", signature, static_cast<unsigned long long>(kId),
              static_cast<unsigned long long>(id), static_cast<unsigned long long>(fnv1a(signature)));
}

}  // namespace

int main() {
  expect("bool", true, "01");
  expect("i32", std::int32_t{-2}, "feffffff");
  expect("u64", std::uint64_t{0x0102030405060708}, "0807060504030201");
  expect("f32", -0.5F, "000000bf");
  expect("f64", 1.0, "000000000000f03f");
  expect("enum", Colour::blue, "07");
  expect("string", std::string("hi"), "020000006869");
  expect("object", ObjectId(1025), "01040000");
  expect("list", std::vector<std::uint16_t>{1, 2}, "0200000001000200");
  expect("array", std::array<std::uint8_t, 3>{1, 2, 3}, "010203");
  expect("none", std::optional<std::uint8_t>{}, "00");
  expect("some", std::optional<std::uint8_t>{9}, "0109");
  expect("tuple", std::tuple<std::pair<std::uint8_t, bool>, std::int8_t>({5, false}, -1), "0500ff");
  expect("map", std::map<std::uint8_t, std::string>{{1, "a"}, {2, ""}}, "0200000001010000006102" "00000000");
  expect("set", std::set<std::int16_t>{-1, 3}, "02000000ffff0300");
  expect("duration", std::chrono::milliseconds(258), "0201000000000000");
  expect("struct", Place{1, "x"}, "01000000010100000078");
  expect("fields", Account(), "020100000000000001");
  expect("variant", Choice("x"), "020100000078");
  expect("monostate", Choice(), "00");
  expect("value", Result<std::uint8_t>(std::uint8_t{7}), "0107");
  expect("error", Result<std::uint8_t>(Error(Errc::not_found, "no")), "000e00020000006e6f");
  expect("text", wire::Text("hi"), "020000006869");
  expect_id<&Golden::nothing>("golden.Golden/1#nothing()", 0xd06675e8579591d2);
  expect_id<&Golden::add>("golden.Golden/1#add(i64,)i64", 0x6b0de6632332f81a);
  expect_id<&Golden::words>("golden.Golden/1#words(string,list<byte,>,)list<string,>", 0x9d7da877cd1e08ec);
  expect_id<&Golden::place>("golden.Golden/1#place(map<tuple<string,f64,>,>,enum<u8,>,)struct<i32,optional<string,>,>",
                            0x72686ee8801ce76d);
  expect_id<&Golden::choose>(
      "golden.Golden/1#choose(struct<i64,bool,>,result<u8,>,duration<i64,>/1/0001,)variant<none,u16,string,>",
      0x651ac5fd2b2f5685);
  return failures == 0 ? 0 : 1;
}
