// An application of somebody else. It has what the library's own code may not have: a parameter that nobody uses.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>

struct Tally {
  std::int64_t total = 0;
  void add(std::int64_t count, std::int64_t unused) { total += count; }
  std::int64_t get() const { return total; }
  using interface = ebb::interface<"outside.Tally/1", ebb::method<"add", &Tally::add>, ebb::method<"get", &Tally::get>>;
};

ebb::task<std::int64_t> one() { co_return 1; }

ebb::generator<int> count(int to) {
  for (int i = 0; i < to; ++i) co_yield i;
}

ebb::task<int> ebb_main(ebb::application& app) {
  const auto nodes = (co_await app.nodes().add(app.options().backends)).value();
  const auto tally = (co_await ebb::create<Tally>()).value();
  for (const ebb::NodeId node : nodes) (co_await tally.on(node).call<&Tally::add>(7, 0)).value();
  const auto sum = (co_await tally.reduce<&Tally::get>(std::int64_t{0}, std::plus<>{})).value();
  // Without the tail calls that g++ makes only when told these come to the end of the stack.
  std::int64_t ready = 0;
  for (int i = 0; i < 100'000; ++i) ready += co_await one();
  ebb::generator<int> numbers = count(100'000);
  for (std::optional<int> next = co_await numbers.next(); next; next = co_await numbers.next()) ready += *next == 0 ? 0 : 1;
  if (ready != 199'999) co_return 1;
  std::printf("tally %lld\n", static_cast<long long>(sum));
  co_return 0;
}
