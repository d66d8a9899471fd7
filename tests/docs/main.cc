// What docs/objects.md and docs/observability.md show, as they show it: snippets_test.py holds the texts together, and running this
// program shows that they do what is said there. With one backend.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>
#include <ebb/observe.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/cluster/check.h"

namespace {

using namespace std::chrono_literals;
using ebb::task;
using ebb::Result;

struct Counter {
  std::int64_t value = 0;
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  using interface = ebb::interface<"demo.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>>;
};

// --- the kinds ---

struct Directory {
  using policy = ebb::replicated;                      // default: ebb::per_core
  std::map<std::string, std::uint64_t> entries;
  std::uint64_t find(const std::string& name) const;
  void enter(const std::string& name, std::uint64_t value);
  std::map<std::string, std::uint64_t> save() const { return entries; }
  void restore(std::map<std::string, std::uint64_t> state) { entries = std::move(state); }
  using interface = ebb::interface<"demo.Directory/1",
      ebb::method<"find", &Directory::find>, ebb::method<"enter", &Directory::enter>>;
};

std::uint64_t Directory::find(const std::string& name) const { return entries.at(name); }
void Directory::enter(const std::string& name, std::uint64_t value) { entries[name] = value; }

task<void> check_directory() {
  const auto directory = (co_await ebb::create<Directory>()).value();
  CHECK((co_await directory.call<&Directory::enter>("one", 1)).has_value());
  CHECK(directory->find("one") == 1);
}

struct Vault {
  using policy = ebb::replicated;
  std::map<std::string, std::int64_t> kept;
  void keep(const std::string& name, std::int64_t amount) { kept[name] = amount; }
  std::map<std::string, std::int64_t> read() const { return kept; }
  std::map<std::string, std::int64_t> save() const { return kept; }
  void restore(std::map<std::string, std::int64_t> state) { kept = std::move(state); }
  using interface = ebb::interface<"demo.Vault/1", ebb::method<"keep", &Vault::keep>, ebb::method<"read", &Vault::read>>;
};

struct Bank {
  using policy = ebb::remade_home;
  std::map<std::string, std::int64_t> accounts;
  ebb::task<ebb::Result<void>> pay(std::string name, std::int64_t amount) {
    accounts[name] += amount;
    const auto vault = co_await ebb::find<Vault>("vault");               // replicated: keep() and read()
    if (!vault) co_return vault.error();
    co_return co_await vault->call<&Vault::keep>(name, accounts[name]);  // answered only when it is kept
  }
  ebb::task<void> on_lost(ebb::home_lost) {                              // what it throws, the next access tries again
    const auto vault = (co_await ebb::find<Vault>("vault")).value();
    accounts = (co_await vault.call<&Vault::read>()).value();
  }
  using interface = ebb::interface<"demo.Bank/1", ebb::method<"pay", &Bank::pay>>;
};

/// The bank's node leaves without having been able to give its state away, which it cannot: the vault has it.
task<void> check_bank(ebb::application* app) {
  const auto vault = (co_await ebb::create<Vault>("vault")).value();
  const auto guest = (co_await app->nodes().add(1)).value().front();
  const auto bank = (co_await ebb::create_at<Bank>(guest)).value();
  CHECK((co_await bank.call<&Bank::pay>("ann", 5)).has_value());
  CHECK((co_await app->nodes().remove(guest)).has_value());
  CHECK((co_await bank.within(20s).call<&Bank::pay>("ann", 2)).has_value());
  CHECK(vault->read().at("ann") == 7);
}

struct seeded : ebb::per_core {
  static constexpr std::string_view name = "demo.seeded";
  template <class T>
  static T* on_miss(ebb::ObjectId id, void*) {  // once a core, when it first touches the object
    return new T(id.index() + ebb::to_number(ebb::Core::current().index()));
  }
};
struct Dice {
  using policy = seeded;
  explicit Dice(std::uint64_t seed) : engine(seed) {}
  std::mt19937_64 engine;
  std::uint64_t roll() { return engine() % 6 + 1; }
  using interface = ebb::interface<"demo.Dice/1", ebb::method<"roll", &Dice::roll>>;
};

struct stocked : ebb::single_home {
  static constexpr std::string_view name = "demo.stocked";
  template <class T>
  static T* on_miss(ebb::ObjectId id, void* root) {
    const auto tariff = ebb::block_on(ebb::find<Directory>("tariff")).value();  // first what may fail
    T* instance = ebb::single_home::on_miss<T>(id, root);                       // refuses wherever the home is not
    instance->tariff = tariff;
    return instance;
  }
};
struct Till {
  using policy = stocked;
  ebb::ref<Directory> tariff;
  std::uint64_t taken = 0;
  std::uint64_t sell(const std::string& item) { return taken += tariff->find(item); }
  std::uint64_t save() const { return taken; }
  void restore(std::uint64_t state) { taken = state; }
  using interface = ebb::interface<"demo.Till/1", ebb::method<"sell", &Till::sell>>;
};

task<void> check_policy(ebb::NodeId node) {
  const auto dice = (co_await ebb::create<Dice>()).value();
  CHECK(dice->roll() == std::mt19937_64(dice.id().index())() % 6 + 1);
  CHECK((co_await dice.on(ebb::CoreIndex{0}).call<&Dice::roll>()).value() <= 6);
  const auto till = (co_await ebb::create<Till>()).value();
  CHECK((co_await till.call<&Till::sell>("tea")).code() == ebb::Errc::no_such_object);
  const auto tariff = (co_await ebb::create<Directory>("tariff")).value();
  CHECK((co_await tariff.call<&Directory::enter>("tea", 3)).has_value());
  CHECK((co_await till.call<&Till::sell>("tea")).value() == 3);
  CHECK((co_await ebb::migrate(till, node)).has_value());
  CHECK((co_await till.call<&Till::sell>("tea")).value() == 6);
}

// --- calls ---

struct Sensor {
  static ebb::generator<std::int64_t> count() {
    for (std::int64_t number = 0;; ++number) co_yield number;  // at most some batches ahead of who takes them
  }
  ebb::stream<std::int64_t> values() const { return count(); }
  using interface = ebb::interface<"demo.Sensor/1", ebb::method<"values", &Sensor::values>>;
};

ebb::task<ebb::Result<std::int64_t>> sum_of_first(ebb::ref<Sensor> sensor, ebb::NodeId node, int wanted) {
  auto values = co_await sensor.on(node).call<&Sensor::values>();
  if (!values) co_return values.error();
  std::int64_t sum = 0;
  for (int taken = 0; taken < wanted; ++taken) {
    const auto next = co_await values->next();
    if (!next) co_return next.error();  // such as node_gone
    if (!*next) break;                  // its end
    sum += **next;
  }
  co_return sum;                        // the stream goes, and with it the generator at its next co_yield
}

struct Book {
  std::string title;
  void name(const std::string& text) { title = text; }
  std::uint64_t letters() const { return title.size(); }
  using interface = ebb::interface<"demo.Book/1", ebb::method<"name", &Book::name>, ebb::method<"letters", &Book::letters>>;
};
struct Library {
  ebb::task<ebb::Result<ebb::ref<Book>>> open(std::string title) {
    const auto book = co_await ebb::create<Book>();
    if (book) (*book)->name(title);
    co_return book;
  }
  using interface = ebb::interface<"demo.Library/1", ebb::method<"open", &Library::open>>;
};

task<void> check_calls(ebb::NodeId node) {
  const auto sensor = (co_await ebb::create<Sensor>()).value();
  CHECK((co_await sum_of_first(sensor, node, 1000)).value() == 499'500);
  const auto library = (co_await ebb::create<Library>()).value();
  auto letters = co_await library.on(node, ebb::CoreIndex{0}).pipeline<&Library::open>("Ulysses").then<&Book::letters>().call();
  CHECK(letters.value() == 7);
}

task<void> check_everywhere(ebb::ref<Counter> counter) {
  auto who = co_await counter.everywhere().call<&Counter::add>(1);                    // participation
  auto all = co_await counter.everywhere().gather<&Counter::get>();                   // each result, with its node and core
  auto sum = co_await counter.everywhere().reduce<&Counter::get>(std::int64_t{0}, ebb::sum());
  auto idle = co_await counter.everywhere().barrier();
  CHECK(who->representatives == all->value.size() && idle->complete());
  CHECK(sum->value >= static_cast<std::int64_t>(all->value.size()));
}

struct Branch {
  using policy = ebb::partitioned;
  std::int64_t total = 0;
  void pay(std::int64_t amount) { total += amount; }
  std::int64_t sum() const { return total; }
  std::int64_t save() const { return total; }
  void restore(std::int64_t state) { total = state; }
  using interface = ebb::interface<"demo.Branch/1", ebb::method<"pay", &Branch::pay>, ebb::method<"sum", &Branch::sum>>;
};

task<void> check_partitions() {
  const auto bank = (co_await ebb::create<Branch>()).value();
  for (std::int64_t key = 0; key < 10; ++key) CHECK((co_await bank.on_key(key).call<&Branch::pay>(key)).has_value());
  auto total = co_await bank.every_partition().reduce<&Branch::sum>(std::int64_t{0}, std::plus<>{});
  CHECK(total.value() == 45);
}

// --- many things at once ---

ebb::task<void> add_one(ebb::ref<Counter> counter, ebb::NodeId node, ebb::Semaphore::Permit, ebb::cancel_token token) {
  (co_await counter.on(node).cancelled_by(token).call<&Counter::add>(1)).value();
}
ebb::task<void> add_many(ebb::ref<Counter> counter, std::vector<ebb::NodeId> nodes, std::size_t count) {
  ebb::Semaphore window(64);  // so many calls under way
  ebb::Scope scope;           // the tasks' owner; none outlives it
  for (std::size_t number = 0; number < count; ++number) {
    auto permit = co_await window.acquire();
    scope.spawn(add_one(counter, nodes[number % nodes.size()], std::move(permit), scope.token()));
  }
  co_await scope.join();      // throws what left one of them
}

task<void> check_scopes(ebb::NodeId node) {
  const auto counter = (co_await ebb::create<Counter>()).value();
  const std::vector<ebb::NodeId> nodes{ebb::this_node(), node};
  co_await add_many(counter, nodes, 1000);
  CHECK((co_await counter.reduce<&Counter::get>(std::int64_t{0}, ebb::sum())).value() == 1000);
  auto both = ebb::when_all(counter.on(ebb::this_node()).call<&Counter::get>(), counter.on(node).call<&Counter::get>());
  const auto [here, there] = co_await std::move(both);  // a Result each, in the order of the calls
  CHECK(here.has_value() && there.has_value());
  co_await check_everywhere(counter);
}

struct Runner {
  ebb::task<int> run(ebb::ref<Runner> self, int rounds) {  // to and fro between the cores, each waiting for the next
    if (rounds == 0) co_return 0;
    const auto here = ebb::to_number(ebb::Core::current().index());
    const ebb::CoreIndex next{static_cast<std::uint16_t>((here + 1) % ebb::Core::count())};
    co_return 1 + (co_await self.on(next).call<&Runner::run>(self, rounds - 1)).value();
  }
  using interface = ebb::interface<"demo.Runner/1", ebb::method<"run", &Runner::run>>;
};

task<void> check_nesting(ebb::NodeId node) {
  const auto runner = (co_await ebb::create<Runner>()).value();
  CHECK((co_await runner.on(node).call<&Runner::run>(runner, 2000)).value() == 2000);
  CHECK((co_await runner.call<&Runner::run>(runner, 2000)).value() == 2000);
}

// --- observability.md ---

struct Order {
  std::string item;
  std::int64_t count = 0;
};
struct Prices {
  using policy = ebb::partitioned;
  std::int64_t of(const std::string& item) const { return static_cast<std::int64_t>(item.size()); }
  std::int64_t save() const { return 0; }
  void restore(std::int64_t) {}
  using interface = ebb::interface<"demo.Prices/1", ebb::method<"of", &Prices::of>>;
};
struct Stock {
  using policy = ebb::single_home;
  std::int64_t left = 10;
  std::int64_t take(const Order& order) { return left -= order.count; }
  using interface = ebb::interface<"demo.Stock/1", ebb::method<"take", &Stock::take>>;
};
ebb::ref<Prices> prices;  // of the node that has made them
ebb::ref<Stock> stock;
struct Shop {
  task<Result<std::int64_t>> order(const ebb::call_context& context, Order order);
  using interface = ebb::interface<"demo.Shop/1", ebb::method<"order", &Shop::order>>;
};

task<Result<std::int64_t>> Shop::order(const ebb::call_context& context, Order order) {
  ebb::span work("price", context.trace);                                        // a span of its own
  auto price = co_await prices.on_key(order.item).under(work).call<&Prices::of>(order.item);
  if (!price) co_return price.error();
  co_return co_await stock.on_home().under(context).call<&Stock::take>(order);   // deadline and cancellation too
}

task<void> check_shop() {
  prices = (co_await ebb::create<Prices>()).value();
  stock = (co_await ebb::create<Stock>()).value();
  const auto shop = (co_await ebb::create<Shop>()).value();
  const Order order{"tea", 3};
  auto left = co_await shop.on(ebb::this_node()).traced().call<&Shop::order>(order);  // begins a trace, unless it is in one
  CHECK(left.value() == 7);
}

}  // namespace

task<int> ebb_main(ebb::application& app) {
  const ebb::NodeId node = (co_await app.nodes().add(1)).value().front();
  co_await check_directory();
  co_await check_bank(&app);
  co_await check_policy(node);
  co_await check_calls(node);
  co_await check_partitions();
  co_await check_scopes(node);
  co_await check_nesting(node);
  co_await check_shop();
  co_return ebb::test::conclude();
}
