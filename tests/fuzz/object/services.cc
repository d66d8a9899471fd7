#include "tests/fuzz/object/services.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/runtime.h"
#include "ebb/async/scope.h"
#include "ebb/async/sleep.h"
#include "ebb/object.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/wire/codec.h"
#include "src/object/home_service.h"
#include "src/observe/observer_service.h"
#include "tests/fuzz/object/input.h"

namespace ebb::detail::fuzz {
namespace {

constexpr int kMostCalls = 32;
/// How often other events come to their turn before calls that have not ended are left.
constexpr int kTurns = 200;

// --- objects of an application, one of each kind ---

generator<std::int64_t> three() {
  for (std::int64_t i = 0; i < 3; ++i) co_yield i;
}

struct Plain {
  std::int64_t value = 0;
  std::int64_t add(std::int64_t amount) { return value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + static_cast<std::uint64_t>(amount)); }
  stream<std::int64_t> count() { return three(); }
  ObjectId other() { return ObjectId(kFirstDynamicObject.index() + 1); }
  using interface = ebb::interface<"fuzz.Plain/1", method<"add", &Plain::add>, method<"count", &Plain::count>,
                                   method<"other", &Plain::other>>;
};

struct Account {
  using policy = single_home;
  std::int64_t value = 0;
  std::int64_t get() const { return value; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"fuzz.Account/1", method<"get", &Account::get>>;
};

struct Log {
  using policy = replicated;
  std::vector<std::int64_t> lines;
  void append(std::int64_t line) {
    if (lines.size() < 1000) lines.push_back(line);
  }
  std::int64_t size() const { return static_cast<std::int64_t>(lines.size()); }
  std::vector<std::int64_t> save() const { return lines; }
  void restore(std::vector<std::int64_t> state) { lines = std::move(state); }
  using interface = ebb::interface<"fuzz.Log/1", method<"append", &Log::append>, method<"size", &Log::size>>;
};

struct Store {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 4;
  std::map<std::uint32_t, std::int64_t> values;
  void put(std::uint32_t key, std::int64_t value) { values[key] = value; }
  std::map<std::uint32_t, std::int64_t> save() const { return values; }
  void restore(std::map<std::uint32_t, std::int64_t> state) { values = std::move(state); }
  using interface = ebb::interface<"fuzz.Store/1", method<"put", &Store::put>>;
};

// --- what may be called ---

struct Callable {
  std::uint64_t method;
  std::vector<std::byte> (*arguments)(Input&);
};

template <class T, auto Member>
constexpr Callable callable() {
  return {T::interface::template method_id<Member>(), [](Input& input) {
            typename SignatureOf<Member>::stored values{};
            input.fill(values);
            if constexpr (std::tuple_size_v<decltype(values)> == 0) return std::vector<std::byte>();
            else return wire::encode(values);
          }};
}

const std::vector<std::pair<ObjectId, Callable>>& services() {
  static const std::vector<std::pair<ObjectId, Callable>> all{
      {kHomeService.id(), callable<HomeService, &HomeService::give>()},
      {kHomeService.id(), callable<HomeService, &HomeService::take>()},
      {kHomeService.id(), callable<HomeService, &HomeService::forget>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::subscribe>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::apply>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::seal>()},
      {kReplicaService.id(), callable<ReplicaService, &ReplicaService::drop>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::map>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::adopt>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::release>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::forget>()},
      {kPartitionService.id(), callable<PartitionService, &PartitionService::holdings>()},
      {kCollectiveService.id(), callable<CollectiveService, &CollectiveService::run>()},
      {kParcelService.id(), callable<ParcelService, &ParcelService::read>()},
      {kParcelService.id(), callable<ParcelService, &ParcelService::drop>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::spans>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::clock>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::methods>()},
      {kObserver.id(), callable<ObserverService, &ObserverService::sample>()},
      {kPipelineService.id(), callable<PipelineService, &PipelineService::run>()},
      {kStreamService.id(), callable<StreamService, &StreamService::pull>()},
      {kStreamService.id(), callable<StreamService, &StreamService::close>()},
      {ObjectId(), callable<Plain, &Plain::add>()},
      {ObjectId(), callable<Plain, &Plain::count>()},
      {ObjectId(), callable<Plain, &Plain::other>()},
      {ObjectId(), callable<Account, &Account::get>()},
      {ObjectId(), callable<Log, &Log::append>()},
      {ObjectId(), callable<Log, &Log::size>()},
      {ObjectId(), callable<Store, &Store::put>()},
  };
  return all;
}

std::vector<std::uint64_t> methods() {
  std::vector<std::uint64_t> numbers;
  for (const auto& [object, callable] : services()) numbers.push_back(callable.method);
  return numbers;
}

void enter_services() {
  NodeTable& table = NodeTable::instance();
  table.enter(kHomeService.id(), kTypeDescriptor<HomeService>);
  table.enter(kReplicaService.id(), kTypeDescriptor<ReplicaService>);
  table.enter(kPartitionService.id(), kTypeDescriptor<PartitionService>);
  table.enter(kCollectiveService.id(), kTypeDescriptor<CollectiveService>);
  table.enter(kParcelService.id(), kTypeDescriptor<ParcelService>);
  table.enter(kObserver.id(), kTypeDescriptor<ObserverService>);
  table.enter(kStreamService.id(), kTypeDescriptor<StreamService>);
  know_pipelines();
}

task<void> call_once(ObjectId object, CoreIndex core, std::uint64_t method, std::vector<std::byte> arguments) {
  CallOrigin origin;
  origin.caller = NodeId{2};
  const auto answer = co_await serve_call(object, core, method, std::move(arguments), origin);
  static_cast<void>(answer);
}

task<int> play_all(std::span<const std::byte> bytes) {
  enter_services();
  const auto plain = (co_await ebb::create<Plain>()).value();
  const auto account = (co_await ebb::create<Account>()).value();
  const auto log = (co_await ebb::create<Log>()).value();
  const auto store = (co_await ebb::create<Store>()).value();
  const ObjectId objects[] = {plain.id(), account.id(), log.id(), store.id()};
  static_cast<void>(co_await account.call<&Account::get>());
  static_cast<void>(co_await log.call<&Log::append>(1));
  static_cast<void>(co_await store.on_key(std::uint32_t{1}).call<&Store::put>(1u, std::int64_t{1}));

  Input input(bytes, methods());
  Scope scope;
  for (int calls = 0; calls < kMostCalls && !input.empty(); ++calls) {
    const std::uint8_t how = input.byte();
    const auto& [object, callable] = services()[input.byte() % services().size()];
    const ObjectId target = object.valid() ? object : objects[how % 4];
    const CoreIndex core = how % 32 == 0 ? CoreIndex(input.byte()) : CoreIndex{0};
    std::vector<std::byte> arguments = how >= 240 ? input.bytes() : callable.arguments(input);
    scope.spawn(call_once(target, core, callable.method, std::move(arguments)));
    if (how % 2 == 0) co_await yield();
  }
  for (int turns = 0; turns < kTurns && scope.running() != 0; ++turns) co_await yield();
  if (scope.running() != 0) {
    request_stop(0);
    Completion<> never;
    co_await never;
  }
  co_await scope.join();
  co_return 0;
}

task<int> clear() {
  co_await NodeTable::instance().clear();
  co_return 0;
}

}  // namespace

void play(std::span<const std::byte> input) {
  NodeTable::instance().set_directory(make_memory_directory());
  run_cores(1, [input] { return play_all(input); });
  run_cores(1, [] { return clear(); });
}

}  // namespace ebb::detail::fuzz
