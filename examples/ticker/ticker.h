// The objects of this example: a market whose trades come as a stream, and a board that every core reads for itself.
#pragma once

#include <ebb/async.h>
#include <ebb/object.h>

#include <cstdint>
#include <map>
#include <string>

struct Trade {
  std::string share;
  std::int64_t cents = 0;
};

/// Each core that looks at it has a replica of its own; a write goes to the home, and is answered when all replicas have it.
struct Board {
  using policy = ebb::replicated;
  std::map<std::string, std::int64_t> prices;

  void enter(const Trade& trade) { prices[trade.share] = trade.cents; }
  std::int64_t price(const std::string& share) const {
    const auto found = prices.find(share);
    return found == prices.end() ? 0 : found->second;
  }
  std::map<std::string, std::int64_t> save() const { return prices; }
  void restore(std::map<std::string, std::int64_t> state) { prices = std::move(state); }
  using interface =
      ebb::interface<"example.Board/1", ebb::method<"enter", &Board::enter>, ebb::method<"price", &Board::price>>;
};

/// Without an end: it is a few batches ahead of who takes the trades, no more, and ends when nobody wants them any longer.
inline ebb::generator<Trade> trade() {
  for (std::int64_t number = 1;; ++number) {
    const Trade next{number % 2 == 0 ? "EBB" : "FLOW", number};  // g++ 12 destroys a `co_yield Trade{...}` twice
    co_yield next;
  }
}

struct Market {
  ebb::stream<Trade> trades() const { return trade(); }
  /// What the board says on this node, without a message: `board->` is this core's replica.
  std::int64_t look_up(ebb::ref<Board> board, std::string share) const { return board->price(share); }
  /// Does not end by itself, only when nobody waits for it any more.
  ebb::task<ebb::Result<void>> close(const ebb::call_context& context) {
    co_await context.cancellation.cancelled();
    co_return ebb::Error(ebb::Errc::cancelled, "the market has not closed");
  }
  using interface = ebb::interface<"example.Market/1", ebb::method<"trades", &Market::trades>,
                                   ebb::method<"look_up", &Market::look_up>, ebb::method<"close", &Market::close>>;
};
