// How long the methods that a core carries out take.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>

#include "ebb/observe/call_meter.h"
#include "src/observe/histogram.h"

namespace ebb::detail {

struct MethodHistogram {
  MethodLabel label;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  std::uint64_t total_ns = 0;
  std::uint64_t maximum_ns = 0;
  std::array<std::uint64_t, HistogramBuckets::kCount> buckets{};

  void add(std::uint64_t ns, bool failed) noexcept {
    ++calls;
    errors += failed ? 1 : 0;
    total_ns += ns;
    if (ns > maximum_ns) maximum_ns = ns;
    ++buckets[HistogramBuckets::index(ns)];
  }
};

/// Methods of which a core keeps a histogram each (2.2 KB, from the method's first call on); all others share one.
inline constexpr std::size_t kMethodsPerCore = 512;
inline constexpr MethodLabel kOtherMethods{0, "", "other"};

/// Used on one core only. An open hash table by the methods' ids, at most half full, so that a search ends.
class MethodTable {
 public:
  /// Counts nothing where there is no memory for the method's histogram.
  void add(const MethodLabel& label, std::uint64_t ns, bool failed) noexcept {
    if (MethodHistogram* const method = of(label)) method->add(ns, failed);
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& each : histograms_) {
      if (each != nullptr) visit(*each);
    }
    if (other_ != nullptr) visit(*other_);
  }

 private:
  static constexpr std::size_t kSlots = 2 * kMethodsPerCore;
  static_assert((kSlots & (kSlots - 1)) == 0);

  MethodHistogram* of(const MethodLabel& label) noexcept {
    for (std::size_t at = label.id;; ++at) {
      std::unique_ptr<MethodHistogram>& slot = histograms_[at & (kSlots - 1)];
      if (slot == nullptr) return enter(slot, label);
      if (slot->label.id == label.id) return slot.get();
    }
  }
  [[gnu::noinline, gnu::cold]] MethodHistogram* enter(std::unique_ptr<MethodHistogram>& slot, const MethodLabel& label) noexcept {
    const bool room = count_ < kMethodsPerCore;
    std::unique_ptr<MethodHistogram>& place = room ? slot : other_;
    if (place != nullptr) return place.get();
    place.reset(new (std::nothrow) MethodHistogram);
    if (place == nullptr) return nullptr;
    place->label = room ? label : kOtherMethods;
    count_ += room ? 1 : 0;
    return place.get();
  }

  std::array<std::unique_ptr<MethodHistogram>, kSlots> histograms_;
  std::size_t count_ = 0;
  std::unique_ptr<MethodHistogram> other_;
};

}  // namespace ebb::detail
