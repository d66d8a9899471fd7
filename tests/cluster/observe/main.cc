// A program whose calls are worth looking at: a chain over three nodes, one call that fails, as many traces as make two begin
// with the same digit, many calls that are counted, and one on a node that is removed then. It waits until its standard input
// ends. With three backends; observe_test.py looks at it.
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Chain {
  /// Goes on to the nodes `first` to `last`, one after the other.
  task<int> follow(const call_context& context, ref<Chain> self, std::uint32_t next, std::uint32_t last) {
    if (next > last) co_return 1;
    const auto target = self.on(NodeId{next}).under(context);
    const Result<int> rest = co_await target.call<&Chain::follow>(self, next + 1, last);
    co_return rest.value() + 1;
  }
  void fail() const { throw std::runtime_error("on purpose"); }
  void count() {}
  void look() {}
  void part() {}
  using interface = ebb::interface<"test.Chain/1", method<"follow", &Chain::follow>, method<"fail", &Chain::fail>,
                                   method<"count", &Chain::count>, method<"look", &Chain::look>,
                                   method<"part", &Chain::part>>;
};

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const auto chain = (co_await create<Chain>()).value();
  const Result<int> length = co_await chain.on(NodeId{1}).traced().call<&Chain::follow>(chain, 2u, 2u);
  const Result<void> failed = co_await chain.on(NodeId{2}).traced().call<&Chain::fail>();
  for (int i = 0; i < 1000; ++i) (co_await chain.on(NodeId{1}, CoreIndex{0}).call<&Chain::count>()).value();
  for (int i = 0; i < 17; ++i) (co_await chain.on(NodeId{1}).traced().call<&Chain::look>()).value();
  (co_await chain.on(NodeId{3}).traced().call<&Chain::part>()).value();
  (co_await app.nodes().remove(NodeId{3})).value();
  std::printf("ready: %d %s\n", length ? *length : -1, std::string(name(failed.code())).c_str());
  std::fflush(stdout);
  Completion<> over;
  std::thread reader([&over] {
    while (std::getchar() != EOF) {
    }
    static_cast<void>(Core::post(CoreIndex{0}, [&over] { over.complete(); }));
  });
  co_await over;
  reader.join();
  co_return 0;
}
