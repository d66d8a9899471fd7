// Two programs from an older and a newer header of one interface: what both have works, what differs is refused by name. Compiled
// twice, with EBB_NEWER and without; each is the front end of the other's backends, processes and machines. The backends come from
// another compiler too (tests/other_compiler).
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"
#include "tests/cluster/interface/shapes.h"

namespace {

using namespace ebb;

struct Ledger {
  std::int64_t sum = 0;
  std::int64_t add(std::int64_t amount) { return sum += amount; }
  std::int64_t total() const { return sum; }
#ifdef EBB_NEWER
  void note(const std::string&, std::uint32_t) {}
  std::string describe() const { return "newer"; }
  using interface = ebb::interface<"test.Ledger/1", method<"describe", &Ledger::describe>, method<"note", &Ledger::note>,
                                   method<"total", &Ledger::total>, method<"add", &Ledger::add>>;
#else
  void note(const std::string&) {}
  void clear() { sum = 0; }
  using interface = ebb::interface<"test.Ledger/1", method<"add", &Ledger::add>, method<"total", &Ledger::total>,
                                   method<"note", &Ledger::note>, method<"clear", &Ledger::clear>>;
#endif
};

/// An interface that was given another version.
struct Clock {
  std::uint64_t now() const { return 1; }
#ifdef EBB_NEWER
  using interface = ebb::interface<"test.Clock/2", method<"now", &Clock::now>>;
#else
  using interface = ebb::interface<"test.Clock/1", method<"now", &Clock::now>>;
#endif
};

/// An object of a kind of its own, of which there are two.
struct stacked : per_core {
#ifdef EBB_NEWER
  static constexpr std::string_view name = "test.stacked/2";
#else
  static constexpr std::string_view name = "test.stacked/1";
#endif
};
struct Tray {
  using policy = stacked;
  std::int64_t count() const { return 1; }
  using interface = ebb::interface<"test.Tray/1", method<"count", &Tray::count>>;
};

/// Whether the call was refused so, and by name.
template <class R>
bool refuses(const Result<R>& answer, Errc code, const std::string& interface, const std::string& method) {
  const std::string text = answer ? "it was answered" : answer.error().to_string();
  const bool named = text.find(interface) != std::string::npos && text.find(method) != std::string::npos;
  if (answer.code() == code && named) return true;
  std::fprintf(stderr, "%s.%s: %s\n", interface.c_str(), method.c_str(), text.c_str());
  return false;
}

/// Everything that travels arrives as what it was, whichever side calls.
task<void> check_shapes(NodeId other) {
  const auto shapes = (co_await create<ebb::test::Shapes>()).value();
  const auto there = shapes.on(other);
  const ebb::test::Chart chart = ebb::test::make_chart();
  const std::array<std::uint32_t, 3> numbers{1, 2, 3};
  const std::string expected = shapes->spell(chart, "text", numbers);
  const auto spelled = co_await there.call<&ebb::test::Shapes::spell>(chart, "text", std::span<const std::uint32_t>(numbers));
  CHECK(spelled.value() == expected);
  const auto made = co_await there.call<&ebb::test::Shapes::make>();
  CHECK(ebb::test::spell_chart(made.value()) == ebb::test::spell_chart(chart));
  const auto spelled_here = co_await there.call<&ebb::test::Shapes::spell_there>(shapes);
  CHECK(spelled_here.value() == expected);
  auto counting = (co_await there.call<&ebb::test::Shapes::count>(1000)).value();
  std::int32_t sum = 0;
  while (const auto each = (co_await counting.next()).value()) sum += *each;
  CHECK(sum == 500'500);
}

}  // namespace

task<int> ebb_main(application& app) {
  const NodeId other = (co_await app.nodes().add(1)).value().front();
  const auto ledger = (co_await create<Ledger>()).value();
  const auto there = ledger.on(other);
  CHECK((co_await there.call<&Ledger::add>(40)).value() == 40);
  CHECK((co_await there.call<&Ledger::add>(2)).value() == 42);
  CHECK((co_await there.call<&Ledger::total>()).value() == 42);
  // All of them at once, where all have it.
  CHECK((co_await ledger.everywhere().reduce<&Ledger::total>(std::int64_t{0}, ebb::sum())).value().value == 42);
#ifdef EBB_NEWER
  const std::string clock = "test.Clock/2";
  const auto changed = co_await there.call<&Ledger::note>("text", 7u);
  const auto missing = co_await there.call<&Ledger::describe>();
  CHECK(refuses(missing, Errc::no_such_method, "test.Ledger/1", "describe"));
#else
  const std::string clock = "test.Clock/1";
  const auto changed = co_await there.call<&Ledger::note>("text");
  const auto missing = co_await there.call<&Ledger::clear>();
  CHECK(refuses(missing, Errc::no_such_method, "test.Ledger/1", "clear"));
#endif
  CHECK(refuses(changed, Errc::no_such_method, "test.Ledger/1", "note"));
  const auto ticking = (co_await create<Clock>()).value();
  const auto refused = co_await ticking.on(other).call<&Clock::now>();
  CHECK(refuses(refused, Errc::interface_mismatch, clock, "same build"));
#ifdef EBB_NEWER
  const std::string kind_here = "test.stacked/2";
  const std::string kind_there = "test.stacked/1";
#else
  const std::string kind_here = "test.stacked/1";
  const std::string kind_there = "test.stacked/2";
#endif
  const auto tray = (co_await create<Tray>()).value();
  CHECK(tray->count() == 1);
  const auto other_kind = co_await tray.on(other).call<&Tray::count>();
  CHECK(refuses(other_kind, Errc::interface_mismatch, "is of the kind " + kind_here, "is of the kind " + kind_there));
  co_await check_shapes(other);
  // Nothing of it has harmed what both have.
  CHECK((co_await there.call<&Ledger::total>()).value() == 42);
  co_return ebb::test::conclude();
}
