// A program of which two types have one id, as two headers may that do not know of each other: no node of it starts.
// front_end_test.py runs it as a front end, and as a backend of another program.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <cstdio>

namespace {

struct Bell {
  void ring() {}
  using interface = ebb::interface<"test.Bell/1", ebb::method<"ring", &Bell::ring>>;
};

struct Whistle {
  void blow() {}
  using interface = ebb::interface<"test.Whistle/1", ebb::method<"blow", &Whistle::blow>>;
};

inline constexpr ebb::static_object<Bell, 100> kBell;
inline constexpr ebb::static_object<Whistle, 100> kWhistle;

}  // namespace

ebb::task<int> ebb_main(ebb::application&) {
  std::puts("started");
  kBell->ring();
  kWhistle->blow();
  co_return 0;
}
