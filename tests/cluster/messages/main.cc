// Protobuf messages between nodes: what fits a call travels whole, and what does not is refused whole. With one backend.
#include <google/protobuf/wrappers.pb.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/messenger/messenger.h"
#include "ebb/object.h"
#include "ebb/wire/protobuf.h"
#include "tests/cluster/check.h"

template <>
inline constexpr std::string_view ebb::wire::message_name<google::protobuf::BytesValue> = "google.protobuf.BytesValue";

namespace {

using namespace ebb;
using google::protobuf::BytesValue;

constexpr std::size_t kBound = Messenger::kMaxPayloadBytes;
/// The length before a message, and its field's tag and length, of messages from 2 to 4 MiB.
constexpr std::size_t kOverhead = 4 + 1 + 4;

BytesValue message_of(std::size_t bytes) {
  BytesValue message;
  message.set_value(std::string(bytes, 'm'));
  return message;
}

/// What every kind below does.
struct Mailbox {
  std::uint32_t taken = 0;
  std::uint64_t take(const BytesValue& message) {
    ++taken;
    return message.value().size();
  }
  BytesValue make(std::uint64_t bytes) { return message_of(bytes); }
  std::uint32_t count() const { return taken; }
  std::uint32_t save() const { return taken; }
  void restore(std::uint32_t state) { taken = state; }
};
struct PlainMailbox : Mailbox {
  using interface = ebb::interface<"test.Mailbox/1", method<"take", &PlainMailbox::take>, method<"make", &PlainMailbox::make>,
                                   method<"count", &PlainMailbox::count>>;
};
struct KeyMailbox : Mailbox {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 8;
  using interface = ebb::interface<"test.KeyMailbox/1", method<"take", &KeyMailbox::take>, method<"make", &KeyMailbox::make>,
                                   method<"count", &KeyMailbox::count>>;
};

/// `spare`: what the target adds to the arguments.
template <class T, class Target>
task<void> check_bound(Target where, std::size_t spare) {
  const std::size_t largest = kBound - kOverhead - spare;
  const auto fits = co_await where.template call<&T::take>(message_of(largest));
  CHECK(fits && *fits == largest);
  const auto above = co_await where.template call<&T::take>(message_of(largest + 1));
  CHECK(above.code() == Errc::too_large);
  const auto far_above = co_await where.template call<&T::take>(message_of(10 * kBound));
  CHECK(far_above.code() == Errc::too_large);
  const auto unheard = co_await where.template send<&T::take>(message_of(largest + 1));
  static_cast<void>(unheard);  // too_large, or of a key only its call's
  const auto whole = co_await where.template call<&T::make>(std::uint64_t{kBound - kOverhead});
  CHECK(whole && whole->value().size() == kBound - kOverhead);
  const auto too_much = co_await where.template call<&T::make>(std::uint64_t{kBound - kOverhead + 1});
  CHECK(too_much.code() == Errc::too_large);
  const auto taken = co_await where.template call<&T::count>();
  CHECK(taken && *taken == 1);
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(1)).value();
  const NodeId node = app.nodes().list().back().id;
  const auto mailbox = (co_await create<PlainMailbox>()).value();
  co_await check_bound<PlainMailbox>(mailbox.on(node, CoreIndex{0}), 0);
  const auto by_key = (co_await create<KeyMailbox>()).value();
  co_await check_bound<KeyMailbox>(by_key.on_key(std::uint32_t{1}), sizeof(std::uint32_t));
  co_return ebb::test::conclude();
}
