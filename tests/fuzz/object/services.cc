#include "tests/fuzz/object/services.h"

#include <cstdlib>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/runtime.h"
#include "ebb/async/scope.h"
#include "ebb/async/sleep.h"
#include "ebb/object.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "src/object/home_service.h"
#include "src/observe/observer_service.h"
#include "tests/fuzz/object/calls.h"

namespace ebb::detail::fuzz {
namespace {

constexpr int kMostCalls = 32;
/// How often other events come to their turn before calls that have not ended are left.
constexpr int kTurns = 100;
/// Inputs after which an application's objects are made anew: what the calls have taken from them is gone for good.
constexpr int kInputsOfObjects = 64;

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

std::map<ObjectId, std::size_t> ended;  // the core's, while an input is played

task<void> call_once(AnyCall call, CoreIndex core) {
  CallOrigin origin;
  origin.caller = NodeId{2};
  const auto answer = co_await serve_call(call.object, core, call.method, std::move(call.arguments), origin);
  const bool refused = answer.code() == Errc::no_such_object || answer.code() == Errc::no_such_method ||
                       answer.code() == Errc::malformed || answer.code() == Errc::not_found;
  if (!refused && call.object < kFirstDynamicObject) ++ended[call.object];
}

/// One node of one core, for as long as the process runs. Its main waits for the end.
class OneNode {
 public:
  static OneNode& instance() {
    NodeTable::instance();  // outlives it
    static OneNode node;
    return node;
  }

  /// From another thread; waits.
  void play(std::span<const std::byte> input) {
    std::promise<void> played;
    const auto begin = [this, input, &played] { scope_->spawn(play_here(input, &played)); };
    if (!Core::post(CoreIndex{0}, begin)) std::abort();
    played.get_future().wait();
  }

 private:
  OneNode() : thread_([this] { run_cores(1, [this] { return run(); }); }) { started_.get_future().wait(); }
  ~OneNode() {
    request_stop(0);
    thread_.join();
  }

  task<int> run() {
    enter_services();
    Scope scope;
    scope_ = &scope;
    started_.set_value();
    Completion<> never;
    co_await never;
    co_return 0;
  }

  task<void> make_objects() {
    const auto plain = (co_await ebb::create<Plain>()).value();
    const auto account = (co_await ebb::create<Account>()).value();
    const auto log = (co_await ebb::create<Log>()).value();
    const auto store = (co_await ebb::create<Store>()).value();
    objects_ = {plain.id(), account.id(), log.id(), store.id()};
    static_cast<void>(co_await account.call<&Account::get>());
    static_cast<void>(co_await log.call<&Log::append>(1));
    static_cast<void>(co_await store.on_key(std::uint32_t{1}).call<&Store::put>(1u, std::int64_t{1}));
  }

  task<void> play_here(std::span<const std::byte> bytes, std::promise<void>* played) {
    if (inputs_++ % kInputsOfObjects == 0) co_await make_objects();
    Input input(bytes, objects_);
    const std::size_t before = scope_->running();
    for (int calls = 0; calls < kMostCalls && !input.empty(); ++calls) {
      const std::uint8_t how = input.byte();
      AnyCall call = any_call(input);
      const CoreIndex core = how % 32 == 1 ? CoreIndex(input.byte()) : CoreIndex{0};
      scope_->spawn(call_once(std::move(call), core));
      if (how % 2 == 0) co_await yield();
    }
    for (int turns = 0; turns < kTurns && scope_->running() > before; ++turns) co_await yield();
    played->set_value();
  }

  std::promise<void> started_;
  // The core's:
  Scope* scope_ = nullptr;
  std::vector<ObjectId> objects_;
  std::uint64_t inputs_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::map<ObjectId, std::size_t> ran() { return ended; }

void play(std::span<const std::byte> input) { OneNode::instance().play(input); }

}  // namespace ebb::detail::fuzz
