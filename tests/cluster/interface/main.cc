// Two programs from an older and a newer header of one interface: what both have works, what differs is refused by name. Compiled
// twice, with EBB_NEWER and without; each is the front end of the other's backends once.
#include <cstdint>
#include <cstdio>
#include <string>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"

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

bool names(const Error& error, Errc code, const std::string& interface, const std::string& method) {
  const bool named = error.text().find(interface) != std::string::npos && error.text().find(method) != std::string::npos;
  if (error.code() == code && named) return true;
  std::fprintf(stderr, "%s\n", error.to_string().c_str());
  return false;
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
  CHECK(names(missing.error(), Errc::no_such_method, "test.Ledger/1", "describe"));
#else
  const std::string clock = "test.Clock/1";
  const auto changed = co_await there.call<&Ledger::note>("text");
  const auto missing = co_await there.call<&Ledger::clear>();
  CHECK(names(missing.error(), Errc::no_such_method, "test.Ledger/1", "clear"));
#endif
  CHECK(names(changed.error(), Errc::no_such_method, "test.Ledger/1", "note"));
  const auto ticking = (co_await create<Clock>()).value();
  const auto refused = co_await ticking.on(other).call<&Clock::now>();
  CHECK(names(refused.error(), Errc::interface_mismatch, clock, "same build"));
  // Nothing of it has harmed what both have.
  CHECK((co_await there.call<&Ledger::total>()).value() == 42);
  co_return ebb::test::conclude();
}
