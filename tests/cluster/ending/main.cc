// What is left when ebb_main() has returned ends in the reverse order of its creation, on whatever nodes it is, but for what it
// depends on; so does what a node has that is asked to leave. Each object's end is noted at the oldest one, which so ends last and
// compares. With at least two backends.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"

namespace {

using namespace ebb;

struct Recorder {
  using policy = single_home;
  std::vector<std::string> notes;
  std::vector<std::string> expected;
  ~Recorder() {
    if (notes == expected) {
      std::puts("all promises hold");
    } else {
      for (const std::string& note : notes) std::printf("noted: %s\n", note.c_str());
    }
  }
  void note(const std::string& what) { notes.push_back(what); }
  void expect(const std::vector<std::string>& what) { expected = what; }
  using interface = ebb::interface<"test.Recorder/1", method<"note", &Recorder::note>, method<"expect", &Recorder::expect>>;
};

void note(const ref<Recorder>& recorder, const std::string& what) {
  block_on(recorder.call<&Recorder::note>(what)).value();
}

/// A destructor that waits for another object, as those of one that needs older ones do.
struct Noted {
  ref<Recorder> recorder;
  std::string name;
  bool lingers = false;
  ~Noted() {
    if (!name.empty()) note(recorder, name);
  }
  bool is_lingering() const { return lingers; }
  void tell(ObjectId where, const std::string& what) {
    recorder = block_on(open<Recorder>(where)).value();
    name = what;
  }
  /// Still under way when ebb_main() ends.
  task<void> linger(std::uint32_t how_long_ms) {
    lingers = true;
    co_await sleep_for(std::chrono::milliseconds(how_long_ms));
    static_cast<void>(co_await recorder.call<&Recorder::note>(name + "'s call"));
  }
};

struct Homed : Noted {
  using policy = single_home;
  using interface = ebb::interface<"test.Homed/1", method<"tell", &Homed::tell>>;
};
struct Shared : Noted {
  using policy = per_node;
  using interface = ebb::interface<"test.Shared/1", method<"tell", &Shared::tell>, method<"linger", &Shared::linger>,
                                   method<"is_lingering", &Shared::is_lingering>>;
};

/// Made before the store that it writes to, until its very end.
struct Store : Noted {
  using policy = single_home;
  using interface = ebb::interface<"test.Store/1", method<"tell", &Store::tell>>;
};
struct Cache : Noted {
  using policy = single_home;
  using depends_on = ebb::depends_on<Store>;
  using interface = ebb::interface<"test.Cache/1", method<"tell", &Cache::tell>>;
};

/// Two that depend on each other, and one of them on a third: that one waits, and they do not.
struct Tail : Noted {
  using policy = single_home;
  using interface = ebb::interface<"test.Tail/1", method<"tell", &Tail::tell>>;
};
struct Right;
struct Left : Noted {
  using policy = single_home;
  using depends_on = ebb::depends_on<Right, Tail>;
  using interface = ebb::interface<"test.Left/1", method<"tell", &Left::tell>>;
};
struct Right : Noted {
  using policy = single_home;
  using depends_on = ebb::depends_on<Left>;
  using interface = ebb::interface<"test.Right/1", method<"tell", &Right::tell>>;
};

template <class T>
task<void> make(NodeId node, ref<Recorder> recorder, std::string name) {
  const Result<ref<T>> object = co_await create_at<T>(node, CoreIndex{0});
  const Result<void> told = co_await object.value().template call<&T::tell>(recorder.id(), name);
  told.value();
}

/// On a node of their own, which then leaves; in the order in which they are to end.
task<std::vector<std::string>> make_and_leave(application* app, ref<Recorder> recorder) {
  const NodeId guest = (co_await app->nodes().add(1)).value().front();
  co_await make<Homed>(guest, recorder, "first to come");
  co_await make<Cache>(guest, recorder, "older cache");
  co_await make<Store>(guest, recorder, "store of both");
  // It ends there only, by the age of the whole.
  const auto shared = (co_await create<Shared>()).value();
  (co_await shared.on(guest).call<&Shared::tell>(recorder.id(), "shared with it")).value();
  co_await make<Homed>(guest, recorder, "last but one to come");
  co_await make<Cache>(guest, recorder, "younger cache");
  (co_await app->nodes().remove(guest)).value();
  std::vector<std::string> order{"younger cache", "last but one to come", "shared with it",
                                 "older cache",   "store of both",        "first to come"};
  co_return order;
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  // With an argument, a call that outlasts what the end may take: the front end says so and goes on.
  const std::uint32_t linger_ms = app.arguments().size() > 1 ? 30'000 : 300;
  const auto nodes = (co_await app.nodes().add(app.options().backends)).value();
  const auto recorder = (co_await create<Recorder>()).value();
  const std::vector<std::string> left = co_await make_and_leave(&app, recorder);
  const std::vector<NodeId> places{nodes[0], kFrontEndNode, nodes[1], nodes[0], nodes[1], kFrontEndNode};
  std::vector<std::string> expected;
  for (std::uint32_t at = 0; at < places.size(); ++at) {
    const std::string name = "homed " + std::to_string(at);
    const auto object = (co_await create_at<Homed>(places[at], CoreIndex{0})).value();
    (co_await object.call<&Homed::tell>(recorder.id(), name)).value();
    expected.insert(expected.begin(), name);
  }
  co_await make<Cache>(nodes[0], recorder, "cache");
  co_await make<Store>(nodes[1], recorder, "store");
  expected.insert(expected.begin(), {"cache", "store"});
  co_await make<Left>(nodes[1], recorder, "left");
  co_await make<Right>(nodes[0], recorder, "right");
  co_await make<Tail>(nodes[1], recorder, "tail");
  expected.insert(expected.begin(), {"right", "left", "tail"});
  const auto shared = (co_await create<Shared>()).value();
  for (const NodeId node : {nodes[0], kFrontEndNode, nodes[1]}) {
    (co_await shared.on(node).call<&Shared::tell>(recorder.id(), "shared")).value();
    expected.insert(expected.begin(), "shared");
  }
  const auto busy = (co_await create<Shared>()).value();
  (co_await busy.on(nodes[1]).call<&Shared::tell>(recorder.id(), "busy")).value();
  (co_await busy.on(nodes[1]).send<&Shared::linger>(linger_ms)).value();
  for (bool begun = false; !begun;) begun = (co_await busy.on(nodes[1]).call<&Shared::is_lingering>()).value();
  expected.insert(expected.begin(), {"busy's call", "busy"});
  expected.insert(expected.begin(), left.begin(), left.end());
  (co_await recorder.call<&Recorder::expect>(expected)).value();
  co_return 0;
}
