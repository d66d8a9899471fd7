// What an application may expect of calls of every representative, also when a node dies in the middle. With at least two
// backends.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Tally {
  std::int64_t value = 0;
  void add(std::int64_t n) { value += n; }
  std::int64_t get() const { return value; }
  NodeId place() const { return this_node(); }
  std::string large(std::uint32_t bytes) const { return std::string(bytes, 'x'); }
  std::map<std::uint32_t, std::int64_t> by_node() const { return {{to_number(this_node()), value}}; }
  std::int64_t fail_on(NodeId node) const {
    if (this_node() == node) throw std::runtime_error("not here");
    return value;
  }
  /// Ends the node that it names without a word.
  task<std::int64_t> add_or_die(std::int64_t n, NodeId victim) {
    if (this_node() == victim) _exit(9);
    co_await sleep_for(20ms);
    co_return value += n;
  }
  /// A chain of two calls: what a lambda would do, on the way up.
  struct widest {
    static constexpr std::string_view name = "test.widest";
    std::int64_t operator()(std::int64_t a, std::int64_t b) const { return a * a > b * b ? a : b; }
  };
  using interface =
      ebb::interface<"test.Tally/2", method<"add", &Tally::add>, method<"get", &Tally::get>, method<"place", &Tally::place>,
                     method<"large", &Tally::large>, method<"by_node", &Tally::by_node>, method<"fail_on", &Tally::fail_on>,
                     method<"add_or_die", &Tally::add_or_die>>;
};

task<void> check_everybody(ref<Tally> tally, std::vector<NodeId> backends) {
  const auto nodes = static_cast<std::uint32_t>(backends.size() + 1);
  const auto nobody = (co_await tally.everywhere().call<&Tally::add>(1)).value();
  CHECK(nobody.nodes == nodes && nobody.representatives == 0 && nobody.complete());
  CHECK((co_await tally.on(backends[0], CoreIndex{1}).call<&Tally::add>(-40)).has_value());
  const auto one = (co_await tally.everywhere().gather<&Tally::place>()).value();
  CHECK(one.value.size() == 1 && one.value[0].node == backends[0] && one.value[0].core == CoreIndex{1} && one.value[0].value == backends[0]);
  const auto every = tally.everywhere().every_core();
  const std::uint32_t cores = (co_await every.call<&Tally::add>(1)).value().representatives;
  CHECK(cores >= 2 * nodes);
  const auto sum = (co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{0}, ebb::sum())).value();
  CHECK(sum.value == static_cast<std::int64_t>(cores) - 40);
  CHECK(sum.who.representatives == cores && sum.who.nodes == nodes);
  CHECK((co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{0}, Tally::widest())).value().value == -39);
  const std::map<std::uint32_t, std::int64_t> none;
  const auto by_node = (co_await tally.everywhere().reduce<&Tally::by_node>(none, merged())).value().value;
  CHECK(by_node.size() == nodes && by_node.at(to_number(backends[0])) < 0);
  // Larger than a message, and from each core.
  const auto large = (co_await tally.everywhere().reduce<&Tally::large>(std::string(), appended(), 3'000'000u)).value().value;
  CHECK(large.size() == 3'000'000u * cores);
  const auto failed = co_await tally.everywhere().gather<&Tally::fail_on>(backends[1]);
  CHECK(failed.code() == Errc::application_error);
  CHECK((co_await tally.everywhere().barrier()).value().representatives == cores);
}

/// From a backend, with the front end among those that are asked.
struct Asker {
  task<std::uint32_t> ask(ref<Tally> tally) {
    const auto answer = co_await tally.everywhere().reduce<&Tally::get>(std::int64_t{0}, ebb::sum());
    co_return answer ? answer->who.nodes : 0;
  }
  using interface = ebb::interface<"test.Asker/1", method<"ask", &Asker::ask>>;
};

task<void> check_loss(ref<Tally> tally, std::vector<NodeId> backends) {
  const auto before = (co_await tally.everywhere().gather<&Tally::get>()).value();
  const NodeId victim = backends.back();
  const auto answer = co_await tally.everywhere().call<&Tally::add_or_die>(1000, victim);
  CHECK(answer.has_value());
  if (!answer) {
    std::fprintf(stderr, "%s\n", answer.error().to_string().c_str());
    co_return;
  }
  CHECK(answer->lost == std::vector<NodeId>{victim});
  const auto after = (co_await tally.everywhere().gather<&Tally::get>()).value();
  CHECK(after.who.nodes == before.who.nodes - 1 && after.who.complete());
  CHECK(answer->representatives == after.value.size());
  std::size_t at = 0;
  for (const auto& old : before.value) {
    if (old.node == victim) continue;
    CHECK(at < after.value.size() && after.value[at].node == old.node && after.value[at].core == old.core);
    CHECK(at < after.value.size() && after.value[at].value == old.value + 1000);
    ++at;
  }
}

}  // namespace

task<int> ebb_main(application& app) {
  const std::vector<NodeId> backends = (co_await app.nodes().add(app.options().backends)).value();
  const auto tally = (co_await create<Tally>()).value();
  co_await check_everybody(tally, backends);
  const auto asker = (co_await create<Asker>()).value();
  CHECK((co_await asker.on(backends[1]).call<&Asker::ask>(tally)).value() == backends.size() + 1);
  co_await check_loss(tally, backends);
  co_return ebb::test::conclude();
}
