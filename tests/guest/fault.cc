// Ends in the way its first argument names. Not a test by itself: fault_test.py looks at what it leaves on the console,
// and at what it costs the host.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "ebb/async.h"

namespace {

[[gnu::noinline]] void write_through(volatile int* place) { *place = 1; }

[[gnu::noinline]] int overflow_stack(int depth) {
  volatile char space[4096];
  space[0] = static_cast<char>(depth);
  if (depth == 1 << 30) return 0;  // never reached: for the compiler's peace
  return overflow_stack(depth + 1) + space[0];
}

void throw_in_thread() {
  std::thread([] { throw std::runtime_error("nobody catches this"); }).join();
}

ebb::task<int> fault_on_core_one() {
  co_await ebb::on_core(ebb::CoreIndex{1}, [] { write_through(reinterpret_cast<int*>(8)); });
  co_return 0;
}

ebb::task<int> sleep_on_both_cores() {
  co_await ebb::on_core(ebb::CoreIndex{1}, [] {});
  co_await ebb::sleep_for(std::chrono::seconds(3));
  co_return 6;
}

void use_all_memory() {
  for (;;) {
    auto* memory = static_cast<char*>(std::malloc(1 << 20));
    if (memory == nullptr) std::exit(9);
    std::memset(memory, 1, 1 << 20);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* way = argc > 1 ? argv[1] : "";
  if (std::strcmp(way, "null") == 0) write_through(nullptr);
  if (std::strcmp(way, "stack") == 0) return overflow_stack(0);
  if (std::strcmp(way, "throw") == 0) throw_in_thread();
  if (std::strcmp(way, "core") == 0) return ebb::run_cores(2, fault_on_core_one);
  if (std::strcmp(way, "idle") == 0) return ebb::run_cores(2, sleep_on_both_cores);
  if (std::strcmp(way, "status") == 0) return 256 + 200;
  if (std::strcmp(way, "memory") == 0) use_all_memory();
  if (std::strcmp(way, "illegal") == 0) asm volatile("ud2");
  if (std::strcmp(way, "hang") == 0) for (std::atomic<bool> never{false}; !never;) {}
  std::puts("nothing happened");
  return 5;
}
