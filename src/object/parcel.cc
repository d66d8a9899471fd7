#include "src/object/parcel.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"

namespace ebb::detail {
namespace {

Error not_kept(std::uint64_t number) {
  return Error(Errc::not_found, "node " + std::to_string(to_number(this_node())) + " no longer keeps parcel " +
                                    std::to_string(number) + "; what it was part of begins again");
}

Error broken(const Parcel& parcel) {
  return Error(Errc::malformed, "parcel " + std::to_string(parcel.number) + " of node " + std::to_string(to_number(parcel.node)) +
                                    " does not have the size that it names");
}

/// This core's service. One node by itself has no list of services that somebody enters.
ParcelService& service_here() {
  NodeTable::instance().enter(kParcelService.id(), kTypeDescriptor<ParcelService>);
  return *kParcelService.operator->();
}

std::vector<std::byte> part(const std::vector<std::byte>& bytes, std::size_t from) {
  const std::size_t size = std::min(kParcelPart, bytes.size() - from);
  const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(from);
  return {first, first + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

Result<std::uint64_t> ParcelService::keep(std::vector<std::byte> bytes) {
  if (kept_bytes_ + bytes.size() > kMaxKeptParcels) {
    return Error(Errc::overloaded, "a core of node " + std::to_string(to_number(this_node())) + " already sends " +
                                       std::to_string(kept_bytes_ >> 20) + " MiB of states; try again later");
  }
  const std::uint64_t number = next_++;
  kept_bytes_ += bytes.size();
  kept_depth_.set(kept_bytes_);
  kept_[number] = {std::move(bytes), platform::Clock::now() + kParcelLimit};
  expire(number);
  return number;
}

// Looks again when it may have expired: reading it moves that moment.
void ParcelService::expire(std::uint64_t number) {
  const auto found = kept_.find(number);
  if (found == kept_.end()) return;
  if (found->second.until <= platform::Clock::now()) return drop(number);
  Core::current().call_at(found->second.until, [number] {
    if (void* service = platform::translate(kParcelService.id())) static_cast<ParcelService*>(service)->expire(number);
  });
}

Result<std::vector<std::byte>> ParcelService::read(std::uint64_t number, std::uint64_t offset) {
  const auto found = kept_.find(number);
  if (found == kept_.end()) return not_kept(number);
  if (offset >= found->second.bytes.size()) return Error(Errc::malformed, "a parcel is read behind its end");
  found->second.until = platform::Clock::now() + kParcelLimit;
  return part(found->second.bytes, static_cast<std::size_t>(offset));
}

void ParcelService::drop(std::uint64_t number) {
  const auto found = kept_.find(number);
  if (found == kept_.end()) return;
  kept_bytes_ -= found->second.bytes.size();
  kept_depth_.set(kept_bytes_);
  kept_.erase(found);
}

Result<Parcel> send_parcel(std::vector<std::byte> bytes) {
  Parcel parcel{bytes.size(), 0, this_node(), Core::current().index(), {}};
  if (bytes.size() <= kParcelPart) {
    parcel.head = std::move(bytes);
    return parcel;
  }
  if (bytes.size() > kMaxParcel) {
    return Error(Errc::too_large, "a state of " + std::to_string(bytes.size() >> 20) + " MiB does not travel; at most " +
                                      std::to_string(kMaxParcel >> 20) + " MiB do");
  }
  parcel.head = part(bytes, 0);
  auto number = service_here().keep(std::move(bytes));
  if (!number) return std::move(number).error();
  parcel.number = *number;
  return parcel;
}

task<Result<std::vector<std::byte>>> fetch_parcel(Parcel parcel) {
  if (parcel.size > kMaxParcel || parcel.head.size() > parcel.size) co_return broken(parcel);
  const auto sender = kParcelService.on(parcel.node, parcel.core);
  std::vector<std::byte> bytes = std::move(parcel.head);
  while (bytes.size() < parcel.size) {
    const auto next = co_await sender.call<&ParcelService::read>(parcel.number, bytes.size());
    if (!next) co_return next.error();
    if (next->empty() || next->size() > parcel.size - bytes.size()) co_return broken(parcel);
    bytes.insert(bytes.end(), next->begin(), next->end());
  }
  if (parcel.number != 0) static_cast<void>(co_await sender.send<&ParcelService::drop>(parcel.number));
  co_return bytes;
}

}  // namespace ebb::detail
