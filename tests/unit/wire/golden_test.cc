// The format, held fast: values and their exact bytes, methods and their exact ids. Built by two compilers, and
// without a test framework, so that two of them are seen to agree. A change here breaks running clusters.
#include <cstdio>
#include <string>

#include "ebb/object.h"

namespace golden {

using namespace ebb;

enum class Colour : std::uint8_t { blue = 7 };
enum class Tide : std::int8_t { low = -3 };
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

using Days = std::chrono::duration<double, std::ratio<86'400>>;
using Minute = std::chrono::time_point<std::chrono::system_clock, std::chrono::minutes>;

struct Golden {
  void nothing() {}
  std::int64_t add(std::int64_t value) { return value; }
  std::vector<std::string> words(std::string_view, std::span<const std::byte>) { return {}; }
  task<Result<Place>> place(const call_context&, const std::map<std::string, double>&, Colour) { co_return Place(); }
  Choice choose(Account, Result<std::uint8_t>, std::chrono::milliseconds) const { return {}; }
  void times(Days, std::chrono::nanoseconds, Minute, Tide) {}
  stream<bool> links(ref<Golden>, Result<void>, std::unordered_map<char, float>, std::vector<bool>) { return {}; }
  std::array<std::byte, 2> rows(std::optional<std::optional<std::int16_t>>, std::unordered_set<std::uint32_t>) { return {}; }
  using interface =
      ebb::interface<"golden.Golden/1", method<"nothing", &Golden::nothing>, method<"add", &Golden::add>,
                     method<"words", &Golden::words>, method<"place", &Golden::place>, method<"choose", &Golden::choose>,
                     method<"times", &Golden::times>, method<"links", &Golden::links>, method<"rows", &Golden::rows>>;
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
  expect("signed enum", Tide::low, "fd");
  expect("char", 'A', "41");
  expect("byte", std::byte{0x9c}, "9c");
  expect("string", std::string("hi"), "020000006869");
  expect("object", ObjectId(1025), "01040000");
  expect("ref", ref<Golden>::unchecked(ObjectId(1025)), "01040000");
  expect("stream that has ended", stream<bool>(), "ffffffffffff0000000000000000");
  expect("bools", std::vector<bool>{true, false}, "020000000100");
  expect("list", std::vector<std::uint16_t>{1, 2}, "0200000001000200");
  expect("array", std::array<std::uint8_t, 3>{1, 2, 3}, "010203");
  expect("none", std::optional<std::uint8_t>{}, "00");
  expect("some", std::optional<std::uint8_t>{9}, "0109");
  expect("tuple", std::tuple<std::pair<std::uint8_t, bool>, std::int8_t>({5, false}, -1), "0500ff");
  expect("map", std::map<std::uint8_t, std::string>{{1, "a"}, {2, ""}}, "0200000001010000006102" "00000000");
  expect("set", std::set<std::int16_t>{-1, 3}, "02000000ffff0300");
  expect("unordered map", std::unordered_map<std::uint8_t, bool>{{5, true}}, "010000000501");
  expect("unordered set", std::unordered_set<std::int16_t>{-1}, "01000000ffff");
  expect("optional of none", std::optional<std::optional<std::uint8_t>>(std::in_place), "0100");
  expect("duration", std::chrono::milliseconds(258), "0201000000000000");
  expect("days", Days(1), "000000000000f03f");
  expect("moment", Minute(std::chrono::minutes(-1)), std::string(2 * sizeof(std::chrono::minutes::rep), 'f'));
  expect("struct", Place{1, "x"}, "01000000010100000078");
  expect("fields", Account(), "020100000000000001");
  expect("variant", Choice("x"), "020100000078");
  expect("monostate", Choice(), "00");
  expect("value", Result<std::uint8_t>(std::uint8_t{7}), "0107");
  expect("no value", Result<void>(), "01");
  expect("error of none", Result<void>(Error(Errc::node_gone, "")), "00040000000000");
  expect("error", Result<std::uint8_t>(Error(Errc::not_found, "no")), "000e00020000006e6f");
  expect("text", wire::Text("hi"), "020000006869");
  expect_id<&Golden::nothing>("golden.Golden/1#nothing()", 0xd06675e8579591d2);
  expect_id<&Golden::add>("golden.Golden/1#add(i64,)i64", 0x6b0de6632332f81a);
  expect_id<&Golden::words>("golden.Golden/1#words(string,list<byte,>,)list<string,>", 0x9d7da877cd1e08ec);
  expect_id<&Golden::place>("golden.Golden/1#place(map<tuple<string,f64,>,>,enum<u8,>,)struct<i32,optional<string,>,>",
                            0x72686ee8801ce76d);
  expect_id<&Golden::choose>(
      "golden.Golden/1#choose(struct<i64,bool,>,result<u8,>,duration<i64,>/1/1000,)variant<none,u16,string,>",
      0x10e9bf84d119f55b);
  expect_id<&Golden::times>("golden.Golden/1#times(duration<f64,>/86400/1,duration<i64,>/1/1000000000,"
                            "moment<duration<i64,>/60/1,>,enum<i8,>,)",
                            0xbdb9058cb41fddab);
  expect_id<&Golden::links>("golden.Golden/1#links(ref<golden.Golden/1>,result<>,map<tuple<char,f32,>,>,list<bool,>,)stream<bool,>",
                            0x3dff165c4a3eb44d);
  expect_id<&Golden::rows>("golden.Golden/1#rows(optional<optional<i16,>,>,set<u32,>,)array<byte,byte,>", 0x30c4b905231ef0e9);
  return failures == 0 ? 0 : 1;
}
