// See buffers.h.
#include "kernel/net/tcp/buffers.h"

#include <algorithm>
#include <cstring>

namespace kernel::net::tcp {

bool Ring::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  if (!memory_) {
    if (budget_ != nullptr && !budget_->take(capacity_)) return false;
    memory_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
  }
  const std::size_t at = static_cast<std::size_t>(offset & (capacity_ - 1));
  const std::size_t first = std::min(bytes.size(), capacity_ - at);
  std::memcpy(memory_.get() + at, bytes.data(), first);
  if (first < bytes.size()) std::memcpy(memory_.get(), bytes.data() + first, bytes.size() - first);
  return true;
}

void Ring::release() noexcept {
  if (memory_ && budget_ != nullptr) budget_->give_back(capacity_);
  memory_.reset();
}

Pieces Ring::read(std::uint64_t offset, std::size_t size) const noexcept {
  if (size == 0) return {};
  const std::size_t at = static_cast<std::size_t>(offset & (capacity_ - 1));
  const std::size_t first = std::min(size, capacity_ - at);
  Pieces pieces{};
  pieces[0] = {memory_.get() + at, first};
  if (first < size) pieces[1] = {memory_.get(), size - first};
  return pieces;
}

std::optional<std::size_t> SendBuffer::append(std::span<const std::byte> bytes) {
  const auto taken = bytes.first(std::min(bytes.size(), room()));
  if (!ring_.write(end_, taken)) return std::nullopt;
  end_ += taken.size();
  return taken.size();
}

std::size_t ReceiveBuffer::insert(std::size_t offset, std::span<const std::byte> bytes, bool& kept) {
  kept = true;
  if (bytes.empty()) return 0;
  Run run{next_ + offset, next_ + offset + bytes.size()};
  const auto touched = std::find_if(runs_.begin(), runs_.end(), [&](const Run& r) { return r.end >= run.begin; });
  const bool touches = touched != runs_.end() && touched->begin <= run.end;
  if (!touches && offset != 0 && runs_.size() >= max_gaps_) {
    kept = false;
    return 0;
  }
  if (!ring_.write(run.begin, bytes)) {
    kept = false;
    return 0;
  }
  auto last = touched;
  for (; last != runs_.end() && last->begin <= run.end; ++last) {
    run.begin = std::min(run.begin, last->begin);
    run.end = std::max(run.end, last->end);
  }
  const auto at = runs_.erase(touched, last);
  if (run.begin > next_) {
    runs_.insert(at, run);
    return 0;
  }
  const auto in_order = static_cast<std::size_t>(run.end - next_);
  next_ = run.end;
  return in_order;
}

}  // namespace kernel::net::tcp
