// A local call as an application writes it; hit_is_one_load.py reads what the compiler made of it.
#include "ebb/object.h"

struct Sample {
  std::int64_t value = 0;
  void add(std::int64_t count) { value += count; }
  using interface = ebb::interface<"test.Sample/1", ebb::method<"add", &Sample::add>>;
};

extern "C" [[gnu::noinline]] void local_hit(ebb::ref<Sample> object, std::int64_t count) { object->add(count); }
