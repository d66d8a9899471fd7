#include "src/async/turn_queue.h"

#include <algorithm>
#include <cstdint>
#include <new>

namespace ebb::detail {
namespace {

/// Ids that follow each other, as a lease gives them out, and those with a common stride, as several nodes' leases have them,
/// come to different chains (Knuth, The Art of Computer Programming 3, 6.4: multiplication by the golden ratio).
std::size_t chain_of(ObjectId object, std::size_t chains) noexcept {
  return (object.index() * std::uint64_t{0x9e37'79b9'7f4a'7c15} >> 32) & (chains - 1);
}

}  // namespace

Turn** TurnQueue::place_of(ObjectId object) noexcept {
  Turn** place = &chains_[chain_of(object, chain_count_)];
  while (*place != nullptr && (*place)->object != object) place = &(*place)->next_in_chain;
  return place;
}

void TurnQueue::grow() noexcept {
  const std::size_t count = 4 * chain_count_;
  std::unique_ptr<Turn*[]> chains(new (std::nothrow) Turn*[count]());
  if (chains == nullptr) return;  // the chains become longer
  for (Turn* line = first_; line != nullptr; line = line->next_object) {
    Turn*& chain = chains[chain_of(line->object, count)];
    line->next_in_chain = std::exchange(chain, line);
  }
  more_chains_ = std::move(chains);
  chains_ = more_chains_.get();
  chain_count_ = count;
}

bool TurnQueue::enter(Turn& turn) noexcept {
  if (waiting_ == limit_) return false;
  turn.next = nullptr;
  Turn** place = place_of(turn.object);
  if (Turn* line = *place) {
    line->last->next = &turn;
    line->last = &turn;
  } else {
    turn.last = &turn;
    turn.next_object = nullptr;
    turn.next_in_chain = nullptr;
    *place = &turn;
    (first_ == nullptr ? first_ : last_->next_object) = &turn;
    last_ = &turn;
    if (++lines_ > 2 * chain_count_) grow();
  }
  depth_.set(++waiting_);
  return true;
}

Turn* TurnQueue::take() noexcept {
  Turn* const turn = first_;
  if (turn == nullptr) return nullptr;
  first_ = turn->next_object;
  Turn** place = place_of(turn->object);
  if (Turn* next = turn->next) {
    // It becomes the line's first, and the line the last.
    next->last = turn->last;
    next->next_object = nullptr;
    next->next_in_chain = turn->next_in_chain;
    *place = next;
    (first_ == nullptr ? first_ : last_->next_object) = next;
    last_ = next;
  } else {
    *place = turn->next_in_chain;
    --lines_;
  }
  depth_.set(--waiting_);
  if (waiting_ == 0 && chain_count_ > kKeptChains) {
    std::fill(std::begin(first_chains_), std::end(first_chains_), nullptr);
    more_chains_.reset();
    chains_ = first_chains_;
    chain_count_ = kFirstChains;
  }
  return turn;
}

}  // namespace ebb::detail
