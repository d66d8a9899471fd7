// The smallest application: a counter with a representative on every core of every node, summed over all of them.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <cstdint>
#include <cstdio>
#include <functional>

struct Counter {
  std::int64_t value = 0;  // one per core
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  using interface =
      ebb::interface<"demo.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>>;
};

ebb::task<int> ebb_main(ebb::application& app) {  // runs on the front end
  const auto nodes = (co_await app.nodes().add(app.options().backends)).value();
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);  // this core: load, test, branch
  for (const ebb::NodeId node : nodes) {
    (co_await counter.on(node).call<&Counter::add>(41)).value();  // that node
  }
  const auto sum = (co_await counter.reduce<&Counter::get>(std::int64_t{0}, std::plus<>{})).value();
  std::printf("%zu nodes besides this one counted to %lld\n", nodes.size(), static_cast<long long>(sum));
  co_return 0;
}
