// One of everything that travels, and an object that says what of it has arrived: where two programs read the same out of the same
// bytes, their texts are the same.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"

namespace ebb::test {

enum class Tide : std::int8_t { low = -3, high = 3 };

struct Buoy {
  std::int16_t depth = 0;
  std::optional<std::string> name;
};

class Log {
  double mean_ = 0;
  std::vector<Buoy> buoys_;
  std::string kept_ = "here";

 public:
  using fields = ebb::fields<&Log::mean_, &Log::buoys_>;
  Log() = default;
  Log(double mean, std::vector<Buoy> buoys) : mean_(mean), buoys_(std::move(buoys)) {}
  void spell(std::ostream& out) const {
    out << mean_ << kept_;
    for (const Buoy& each : buoys_) out << each.depth << each.name.value_or("-");
  }
};

struct Chart {
  bool lit = false;
  char mark = ' ';
  std::byte raw{};
  std::uint64_t wide = 0;
  float narrow = 0;
  Tide tide{};
  std::array<std::pair<std::uint8_t, bool>, 2> pairs;
  std::tuple<std::int32_t, std::string> both;
  std::map<std::string, std::vector<bool>> bits;
  std::set<std::uint16_t> numbers;
  std::unordered_map<std::int64_t, std::string> table;
  std::variant<std::monostate, std::uint16_t, std::string> choice;
  std::optional<std::optional<std::uint8_t>> nested;
  std::chrono::milliseconds period{};
  std::chrono::sys_seconds moment;
  Result<std::uint8_t> result = std::uint8_t{0};
  Log log;
};

inline Chart make_chart() {
  Chart chart;
  chart.lit = true;
  chart.mark = 'x';
  chart.raw = std::byte{200};
  chart.wide = 0x0102'0304'0506'0708;
  chart.narrow = -0.5F;
  chart.tide = Tide::low;
  chart.pairs = {{{1, true}, {2, false}}};
  chart.both = {-7, "seven"};
  chart.bits = {{"a", {true, false}}, {"b", {}}};
  chart.numbers = {3, 700};
  chart.table = {{-1, "minus"}};
  chart.choice = "chosen";
  chart.nested.emplace();
  chart.period = std::chrono::milliseconds(1500);
  chart.moment = std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000));
  chart.result = Error(Errc::not_found, "nowhere");
  chart.log = Log(2.25, {{-4, "x"}, {5, std::nullopt}});
  return chart;
}

/// Of every field, in order.
inline std::string spell_chart(const Chart& chart) {
  std::ostringstream out;
  out << chart.lit << chart.mark << std::to_integer<int>(chart.raw) << ' ' << chart.wide << ' ' << chart.narrow << ' '
      << static_cast<int>(chart.tide);
  for (const auto& [number, flag] : chart.pairs) out << ' ' << int{number} << flag;
  out << ' ' << std::get<0>(chart.both) << std::get<1>(chart.both);
  for (const auto& [name, flags] : chart.bits) {
    out << ' ' << name;
    for (const bool each : flags) out << each;
  }
  for (const std::uint16_t each : chart.numbers) out << ' ' << each;
  for (const auto& [number, name] : chart.table) out << ' ' << number << name;
  out << ' ' << chart.choice.index() << std::get<std::string>(chart.choice) << chart.nested.has_value()
      << chart.nested->has_value() << ' ' << chart.period.count() << ' ' << chart.moment.time_since_epoch().count() << ' '
      << chart.result.error().to_string() << ' ';
  chart.log.spell(out);
  return out.str();
}

struct Shapes {
  std::string spell(const Chart& chart, std::string_view text, std::span<const std::uint32_t> numbers) const {
    std::string all = spell_chart(chart) + " " + std::string(text);
    for (const std::uint32_t each : numbers) all += " " + std::to_string(each);
    return all;
  }
  Chart make() const { return make_chart(); }
  /// Asks the caller's node for the same, so that both are the calling side once.
  task<Result<std::string>> spell_there(const call_context& context, ref<Shapes> object) {
    const std::array<std::uint32_t, 3> numbers{1, 2, 3};
    return ask(object, context.caller, numbers);
  }
  stream<std::int32_t> count(std::int32_t most) { return count_up(most); }
  using interface = ebb::interface<"test.Shapes/1", method<"spell", &Shapes::spell>, method<"make", &Shapes::make>,
                                   method<"spell_there", &Shapes::spell_there>, method<"count", &Shapes::count>>;

 private:
  static task<Result<std::string>> ask(ref<Shapes> object, NodeId node, std::array<std::uint32_t, 3> numbers) {
    const auto there = object.on(node);
    const Chart chart = make_chart();
    co_return co_await there.call<&Shapes::spell>(chart, "text", std::span<const std::uint32_t>(numbers));
  }
  static generator<std::int32_t> count_up(std::int32_t most) {
    for (std::int32_t each = 1; each <= most; ++each) co_yield each;
  }
};

}  // namespace ebb::test
