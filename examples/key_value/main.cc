// A store whose keys are spread over all cores of all backends. They move as nodes come and go; those of a node that crashes
// are lost.
#include <ebb/application.h>
#include <ebb/async.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "store.h"

namespace {

ebb::task<void> tell(ebb::ref<Store> store, std::size_t backends) {
  const auto size = (co_await store.every_partition().reduce<&Store::size>(std::uint64_t{0}, std::plus<>{})).value();
  const auto text = (co_await store.on_key("key 7").call<&Store::get>("key 7")).value();
  std::printf("backends: %zu, keys: %llu, key 7: %s\n", backends, static_cast<unsigned long long>(size), text.value_or("lost").c_str());
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const auto backends = std::max<std::size_t>(app.options().backends, 1);
  (co_await app.nodes().add(backends)).value();
  const auto store = (co_await ebb::create<Store>()).value();
  for (int number = 0; number < 1000; ++number) {
    const std::string key = "key " + std::to_string(number);
    (co_await store.on_key(key).call<&Store::put>(key, "text " + std::to_string(number))).value();
  }
  co_await tell(store, app.nodes().list().size());

  const auto guest = (co_await app.nodes().add(1)).value().front();  // takes its share of the partitions
  co_await tell(store, app.nodes().list().size());
  (co_await app.nodes().remove(guest)).value();  // gives it back
  co_await tell(store, app.nodes().list().size());

  // Ends the node that has the key. A call that may have run is not made again elsewhere.
  const auto crashed = co_await store.on_key("key 7").call<&Store::crash>();
  std::printf("%s\n", crashed.error().to_string().c_str());
  // The front end notices at once, or, if nobody tells it, after five seconds without a heartbeat.
  for (int look = 0; look < 10'000 && app.nodes().list().size() == backends; ++look) co_await ebb::sleep_for(std::chrono::milliseconds(1));
  co_await tell(store, app.nodes().list().size());
  const auto losses = (co_await store.every_partition().reduce<&Store::losses>(std::uint64_t{0}, std::plus<>{})).value();
  std::printf("%llu of 256 partitions began anew\n", static_cast<unsigned long long>(losses));
  co_return 0;
}
