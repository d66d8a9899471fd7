// A node that stands still until it is declared gone, and then goes on: what had its one place there is elsewhere by then, and
// what wakes answers for nothing, neither to others nor to its own cores, and ends. With two backends, processes or machines on
// this host. It goes on at once, with the word "late" when it has been told to end, and with the name of a file when that is there.
// comeback_test.py runs it, also with nodes that whoever started them cannot end.
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"
#include "tests/cluster/comeback/machine_memory.h"
#include "tests/cluster/comeback/shared.h"
#include "tests/cluster/machine.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using test::MachineMemory;
using test::Machines;
using test::Shared;
using test::shared_by;

/// For what must come at some time: far more than it takes on a busy machine.
constexpr auto kPatience = 40s;
/// Not at full speed: heartbeats are to arrive on a machine that does other work besides.
constexpr auto kBetweenTurns = 2ms;
/// Of a loop, which its deadline ends otherwise.
constexpr auto kLoopLimit = 30min;
/// Between two looks into the memory of machines.
constexpr auto kBetweenLooks = 5ms;

struct Guarded {
  using policy = remade_home;
  std::uint32_t epoch = 1;
  std::uint32_t under_way = 0;
  std::uint32_t epoch_of_home() const { return epoch; }
  std::uint32_t count_under_way() const { return under_way; }
  /// Under way when its node is stopped, it has its answer only when that goes on.
  task<std::uint32_t> linger(std::string name) {
    ++under_way;
    while (!shared_by(name)->go_on) co_await sleep_for(5ms);
    co_return epoch;
  }
  void on_lost(const home_lost& lost) { epoch = lost.epoch; }
  using interface = ebb::interface<"test.Guarded/1", method<"epoch_of_home", &Guarded::epoch_of_home>,
                                   method<"count_under_way", &Guarded::count_under_way>, method<"linger", &Guarded::linger>>;
};

struct Single {
  using policy = single_home;
  std::int32_t process() const { return ::getpid(); }
  using interface = ebb::interface<"test.Single/1", method<"process", &Single::process>>;
};

struct Copied {
  using policy = replicated;
  std::int64_t value = 0;
  std::int64_t add() { return ++value; }
  std::int64_t get() const { return value; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"test.Copied/1", method<"add", &Copied::add>, method<"get", &Copied::get>>;
};

/// The loops that look at these objects from every core of every node.
struct Watcher {
  std::int32_t process() const { return ::getpid(); }
  /// Where this node has what is shared, which is marked so.
  std::uint64_t mark(std::string name, std::uint64_t mark) const {
    Shared* const shared = shared_by(name);
    shared->mark = mark;
    return std::bit_cast<std::uint64_t>(shared);
  }
  task<void> call(const call_context& context, ref<Guarded> object, std::string name, std::uint32_t number) {
    Shared& shared = *shared_by(name);
    Shared::Loop& loop = shared.loops[number];
    while (!shared.over && !context.cancellation.is_cancelled()) {
      const std::uint32_t newest = shared.newest;
      const auto answer = co_await object.under(context).within(1s).call<&Guarded::epoch_of_home>();
      ++loop.turns;
      if (answer) note(shared, loop, newest, *answer);
      co_await sleep_for(kBetweenTurns);
    }
    loop.ended = true;
  }
  task<void> read(const call_context& context, ref<Copied> object, std::string name, std::uint32_t number) {
    Shared& shared = *shared_by(name);
    Shared::Loop& loop = shared.loops[number];
    while (!shared.over && !context.cancellation.is_cancelled()) {
      const std::int64_t written = shared.written;
      const auto answer = co_await object.under(context).within(1s).call<&Copied::get>();
      ++loop.turns;
      if (answer) ++loop.answers;
      if (answer && *answer < written) ++loop.old_reads;
      co_await sleep_for(kBetweenTurns);
    }
    loop.ended = true;
  }
  task<void> linger(ref<Guarded> object, std::string name) {
    const auto answer = co_await object.call<&Guarded::linger>(name);
    if (answer) ++shared_by(name)->late_answers;
  }
  using interface =
      ebb::interface<"test.Watcher/1", method<"process", &Watcher::process>, method<"mark", &Watcher::mark>,
                     method<"call", &Watcher::call>, method<"read", &Watcher::read>, method<"linger", &Watcher::linger>>;

 private:
  static void note(Shared& shared, Shared::Loop& loop, std::uint32_t newest, std::uint32_t epoch) {
    ++loop.answers;
    if (epoch < newest) ++loop.older_answers;
    for (std::uint32_t known = shared.newest; known < epoch && !shared.newest.compare_exchange_weak(known, epoch);) {
    }
  }
};

/// A process of which it can be told, whoever its parent is, that it has ended, and which never is another one.
class Process {
 public:
  explicit Process(std::int32_t id) : id_(id), file_(static_cast<int>(::syscall(SYS_pidfd_open, id, 0))) {}
  ~Process() {
    // Without effect unless a promise is broken.
    send(SIGKILL);
    ::close(file_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  bool exists() const { return file_ >= 0; }
  /// All its threads: a signal stops them one after the other, and those that it has not reached yet still answer.
  bool stands_still() const {
    for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(id_) + "/task")) {
      std::ifstream file(thread.path() / "stat");
      const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      const std::size_t name_end = text.rfind(')');
      if (name_end == std::string::npos || text.compare(name_end, 3, ") T") != 0) return false;
    }
    return true;
  }
  /// Or waits for nothing but to go on, in order to end.
  bool is_told_to_end() const {
    if (has_ended()) return true;
    std::ifstream file("/proc/" + std::to_string(id_) + "/status");
    for (std::string line; std::getline(file, line);) {
      unsigned long long pending = 0;
      if (std::sscanf(line.c_str(), "ShdPnd: %llx", &pending) == 1) return (pending >> (SIGTERM - 1) & 1) != 0;
    }
    return false;
  }
  void send(int signal) const { ::syscall(SYS_pidfd_send_signal, file_, signal, nullptr, 0); }
  bool has_ended() const {
    pollfd watched{file_, POLLIN, 0};
    return ::poll(&watched, 1, 0) == 1;
  }

 private:
  std::int32_t id_;
  int file_;
};

task<void> carry_on(Machines* machines, const bool* over) {
  while (!*over) {
    machines->carry();
    co_await sleep_for(kBetweenLooks);
  }
}

struct Loops {
  std::vector<std::size_t> there;      ///< numbers of those on the node that is stopped
  std::vector<std::size_t> elsewhere;
};

struct Objects {
  ref<Watcher> watcher;
  ref<Guarded> guarded;
  ref<Single> single;
  ref<Copied> copied;
};

/// Whether `condition` comes true.
template <class Condition>
task<bool> comes(Condition condition) {
  const auto give_up = platform::Clock::now() + kPatience;
  while (!condition() && platform::Clock::now() < give_up) co_await sleep_for(10ms);
  co_return condition();
}

/// Two loops on each core.
task<Loops> start_loops(const Objects* all, std::vector<NodeStatus> nodes, std::string name) {
  nodes.push_back({});
  nodes.back().id = kFrontEndNode;
  nodes.back().cores = static_cast<std::uint16_t>(Core::count());
  Loops loops;
  std::uint32_t number = 0;
  for (const NodeStatus& node : nodes) {
    std::vector<std::size_t>& numbers = node.id == nodes.front().id ? loops.there : loops.elsewhere;
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      const auto watcher = all->watcher.on(node.id, CoreIndex{core}).within(kLoopLimit);
      numbers.push_back(number);
      (co_await watcher.send<&Watcher::call>(all->guarded, name, number++)).value();
      numbers.push_back(number);
      (co_await watcher.send<&Watcher::read>(all->copied, name, number++)).value();
    }
  }
  co_return loops;
}

/// Until each of them has had ten answers more.
task<bool> go_on_answering(const Shared* shared, std::vector<std::size_t> numbers) {
  for (const std::size_t number : numbers) {
    const std::atomic<std::uint64_t>& answers = shared->loops[number].answers;
    auto has_more = [&answers, wanted = answers + 10] { return answers >= wanted; };
    const bool came = co_await comes(has_more);
    if (!came) co_return false;
  }
  co_return true;
}

std::uint64_t count_turns(const Shared& shared, const std::vector<std::size_t>& numbers) {
  std::uint64_t sum = 0;
  for (const std::size_t number : numbers) sum += shared.loops[number].turns;
  return sum;
}

std::uint64_t count_old_reads(const Shared& shared, const std::vector<std::size_t>& numbers) {
  std::uint64_t sum = 0;
  for (const std::size_t number : numbers) sum += shared.loops[number].old_reads;
  return sum;
}

/// A call that was under way there: it may have run, so that it is not made again.
template <class R>
void check_lost(const Result<R>& answer) {
  CHECK(answer.code() == Errc::node_gone);
  CHECK(!answer || !answer.error().is_refusal());
  if (!answer && answer.code() != Errc::node_gone) std::fprintf(stderr, "%s\n", answer.error().to_string().c_str());
}

task<void> linger(ref<Guarded> object, std::string name) { check_lost(co_await object.call<&Guarded::linger>(name)); }

/// What becomes of calls while the node stands still, and is declared gone.
task<void> check_still(const Objects* all, Shared* shared, NodeId doomed) {
  const auto hurried = co_await all->guarded.within(300ms).call<&Guarded::epoch_of_home>();
  CHECK(hurried.code() == Errc::deadline_exceeded);
  const auto there = co_await all->watcher.on(doomed).call<&Watcher::process>();
  CHECK(there.code() == Errc::node_gone);
  auto gone = [doomed] { return !is_member(doomed); };
  CHECK(co_await comes(gone));
  const auto too_late = co_await all->watcher.on(doomed).call<&Watcher::process>();
  CHECK(too_late.code() == Errc::node_gone);
  const auto lost = co_await all->single.call<&Single::process>();
  CHECK(lost.code() == Errc::node_gone);
  // Not answered as long as the one that stands still could show what was before.
  const auto written = co_await all->copied.call<&Copied::add>();
  CHECK(written.has_value());
  if (written) shared->written = *written;
  const auto epoch = co_await all->guarded.within(kPatience).call<&Guarded::epoch_of_home>();
  CHECK(epoch && *epoch > 1);
  auto seen = [shared] { return shared->newest > 1; };
  CHECK(co_await comes(seen));
}

/// It goes on: for its own loops, too, it answers for nothing, and it ends.
task<void> check_comeback(const Shared* shared, const Loops* loops, const Process* process, std::uint16_t cores,
                          Machines* machines) {
  machines->carry();
  const std::uint64_t turns = count_turns(*shared, loops->there);
  process->send(SIGCONT);
  auto ended = [process] { return process->has_ended(); };
  CHECK(co_await comes(ended));
  std::puts("it has ended");
  std::fflush(stdout);
  CHECK(co_await go_on_answering(shared, loops->elsewhere));
  CHECK(test::count(*shared, &Shared::Loop::older_answers) == 0);
  CHECK(shared->late_answers == 0);
  CHECK(count_old_reads(*shared, loops->elsewhere) == 0);
  // Of events that were ready when it was stopped, as docs/objects.md has it.
  CHECK(count_old_reads(*shared, loops->there) <= std::uint64_t{64} * cores);
  if (count_turns(*shared, loops->there) != turns) std::puts("it has come back");
}

task<void> end_loops(Shared* shared, const Loops* loops) {
  shared->over = true;
  for (const std::size_t number : loops->elsewhere) {
    auto ended = [shared, number] { return shared->loops[number].ended.load(); };
    CHECK(co_await comes(ended));
  }
}

/// Whether the memory of the machines among the nodes has been found.
task<bool> find_machines(const Objects* all, std::vector<NodeStatus> nodes, std::string name, Machines* machines) {
  for (const NodeStatus& node : nodes) {
    if (node.driver != "libvirt") continue;
    const auto watcher = all->watcher.on(node.id);
    const auto mark = static_cast<std::uint64_t>(platform::Clock::now().time_since_epoch().count());
    const std::uint64_t address = (co_await watcher.call<&Watcher::mark>(name, mark)).value();
    const std::int32_t told = (co_await watcher.call<&Watcher::process>()).value();
    MachineMemory memory(test::process_of(node, told), address, mark);
    if (!memory.found()) co_return false;
    machines->add(std::move(memory));
  }
  co_return true;
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const int file = static_cast<int>(::syscall(SYS_memfd_create, "comeback", MFD_CLOEXEC));
  if (::ftruncate(file, sizeof(Shared)) != 0) co_return 1;
  const std::string name = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file);
  Shared* const shared = new (test::map(file)) Shared;
  (co_await app.nodes().add(2)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const NodeId doomed = nodes.front().id;
  const Objects all{(co_await create<Watcher>()).value(), (co_await create_at<Guarded>(doomed, CoreIndex{1})).value(),
                    (co_await create_at<Single>(doomed, CoreIndex{0})).value(),
                    (co_await create_at<Copied>(nodes.back().id, CoreIndex{0})).value()};
  for (const NodeStatus& node : nodes) {
    const std::int32_t id = (co_await all.watcher.on(node.id).call<&Watcher::process>()).value();
    std::printf("node %u %d\n", to_number(node.id), test::process_of(node, id));
  }
  const std::int32_t doomed_process = (co_await all.single.call<&Single::process>()).value();
  const Process process(test::process_of(nodes.front(), doomed_process));
  if (!process.exists()) co_return 1;
  Machines machines(shared);
  const bool found = co_await find_machines(&all, nodes, name, &machines);
  if (!found) {
    std::fputs("a machine's memory cannot be looked at: this needs the rights to trace QEMU\n", stderr);
    co_return 1;
  }
  bool over = false;
  Scope carriers;
  carriers.spawn(carry_on(&machines, &over));
  const Loops loops = co_await start_loops(&all, nodes, name);
  CHECK(co_await go_on_answering(shared, loops.there));
  CHECK(co_await go_on_answering(shared, loops.elsewhere));
  Scope scope;
  scope.spawn(linger(all.guarded, name));
  (co_await all.watcher.on(doomed, CoreIndex{0}).send<&Watcher::linger>(all.guarded, name)).value();
  std::uint32_t under_way = 0;
  for (const auto give_up = platform::Clock::now() + kPatience; under_way < 2 && platform::Clock::now() < give_up;) {
    under_way = (co_await all.guarded.call<&Guarded::count_under_way>()).value();
  }
  CHECK(under_way == 2);

  process.send(SIGSTOP);
  auto stopped = [&process] { return process.stands_still(); };
  CHECK(co_await comes(stopped));
  co_await check_still(&all, shared, doomed);
  co_await scope.join();
  shared->go_on = true;
  if (app.arguments().size() > 1) {
    auto is_time = [&process, when = app.arguments()[1]] {
      return when == "late" ? process.is_told_to_end() : std::filesystem::exists(when);
    };
    CHECK(co_await comes(is_time));
  }
  co_await check_comeback(shared, &loops, &process, nodes.front().cores, &machines);
  co_await end_loops(shared, &loops);
  over = true;
  co_await carriers.join();
  co_return test::conclude();
}
