// The smallest object: a counter with a representative on each core, summed over all of them.
#include <ebb/async.h>
#include <ebb/object.h>

#include <cstdint>
#include <cstdio>
#include <functional>

namespace {

struct Counter {
  std::int64_t value = 0;  // one per core
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  using interface =
      ebb::interface<"demo.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>>;
};

ebb::task<int> count() {
  auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  (co_await counter.on(ebb::CoreIndex{1}).call<&Counter::add>(41)).value();
  const auto sum = (co_await counter.reduce<&Counter::get>(std::int64_t{0}, std::plus<>{})).value();
  (co_await ebb::destroy(counter)).value();
  std::printf("the cores counted to %lld\n", static_cast<long long>(sum));
  co_return 0;
}

}  // namespace

int main() { return ebb::run_cores(2, count); }
