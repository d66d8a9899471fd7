#include "src/observe/recorder.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>
#include <span>

#include "ebb/async/core.h"
#include "ebb/base/node_local.h"
#include "ebb/observe/call_meter.h"
#include "ebb/observe/span.h"
#include "ebb/platform/platform.h"

namespace ebb {
namespace detail {
namespace {

// Each is used by its core alone; the cores of another run of the same process find them again.
using Recorders = std::array<CoreRecorder*, kMaxCores>;
constinit NodeLocal<Recorders> recorders;

constexpr std::uint32_t kMillion = 1'000'000;

std::int64_t clock_ns() noexcept { return platform::Clock::now().time_since_epoch().count(); }

}  // namespace

constinit NodeLocal<std::atomic<std::uint32_t>> sampling_rate;

std::uint64_t IdGenerator::next() noexcept {
  if (state_ == 0) {
    std::array<std::uint64_t, 1> seed{};
    platform::fill_random(std::as_writable_bytes(std::span(seed)));
    state_ = seed[0];
  }
  // SplitMix64 (Steele, Lea, Flood 2014): each number once in 2^64.
  std::uint64_t mixed = state_ += 0x9e37'79b9'7f4a'7c15;
  mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
  mixed ^= mixed >> 31;
  return std::max<std::uint64_t>(mixed, 1);  // 0 is no id
}

CoreRecorder* CoreRecorder::own() noexcept {
  const Core* core = Core::current_or_null();
  if (core == nullptr) return nullptr;
  CoreRecorder*& place = (*recorders)[to_number(core->index())];
  if (place == nullptr) [[unlikely]] place = new (std::nothrow) CoreRecorder;
  return place;
}

bool draw_sample(std::uint32_t per_million) noexcept {
  CoreRecorder* own = CoreRecorder::own();
  return own != nullptr && own->ids.next() % kMillion < per_million;
}

TraceContext begin_trace() noexcept {
  CoreRecorder* own = CoreRecorder::own();
  if (own == nullptr) return {};
  const std::uint64_t high = own->ids.next();
  return {high, own->ids.next(), 0, true};
}

void OpenSpan::begin() noexcept {
  CoreRecorder* own = CoreRecorder::own();
  parent_ = trace_.span;
  if (own != nullptr) trace_.span = own->ids.next();
  start_ns_ = clock_ns();
}

void OpenSpan::record(SpanKind kind, const MethodLabel& label, ObjectId object, NodeId peer, Errc status) const noexcept {
  CoreRecorder* own = CoreRecorder::own();
  if (own == nullptr) return;
  own->spans.push({trace_.trace_high, trace_.trace_low, trace_.span, parent_, start_ns_, clock_ns() - start_ns_,
                   label.interface_name, label.name, object, peer, status, kind});
}

std::int64_t CallMeter::stopwatch_ns() noexcept {
  CoreRecorder* own = CoreRecorder::own();
  return own == nullptr ? 0 : own->stopwatch.now_ns();
}

void CallMeter::count(const MethodLabel& label, Errc status) const noexcept {
  CoreRecorder* own = CoreRecorder::own();
  if (own == nullptr) return;
  const std::int64_t taken = own->stopwatch.now_ns() - begun_ns_;
  own->methods.add(label, static_cast<std::uint64_t>(std::max<std::int64_t>(taken, 0)), status != Errc::ok);
}

}  // namespace detail

namespace observe {

void sample(std::uint32_t per_million) noexcept {
  detail::sampling_rate->store(std::min(per_million, detail::kMillion), std::memory_order_relaxed);
}

}  // namespace observe
}  // namespace ebb
