// Takes trades from a market on a backend, enters them on a board, and reads that on every node.
#include <ebb/application.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "ticker.h"

using namespace std::chrono_literals;

ebb::task<int> ebb_main(ebb::application& app) {
  const auto nodes = (co_await app.nodes().add(std::max<std::size_t>(app.options().backends, 1))).value();
  const auto board = (co_await ebb::create<Board>()).value();
  const auto market = (co_await ebb::create<Market>()).value();

  auto trades = (co_await market.on(nodes.front()).call<&Market::trades>()).value();
  for (int taken = 0; taken < 1000; ++taken) {
    const auto next = (co_await trades.next()).value();
    (co_await board.within(5s).call<&Board::enter>(*next)).value();
  }
  std::printf("EBB is at %lld here\n", static_cast<long long>(board->price("EBB")));
  for (const ebb::NodeId node : nodes) {
    const auto price = (co_await market.on(node).call<&Market::look_up>(board, "EBB")).value();
    std::printf("EBB is at %lld on node %u\n", static_cast<long long>(price), ebb::to_number(node));
  }

  const auto closed = co_await market.on(nodes.front()).within(50ms).call<&Market::close>();
  std::printf("%s\n", closed.error().to_string().c_str());
  co_return 0;
}
