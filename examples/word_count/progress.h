// How far the work is, on standard error.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>

class Progress {
 public:
  static constexpr std::chrono::milliseconds kPause{500};

  /// Prints a line, but not more often than every kPause, and nothing for what is done at once.
  void show(std::size_t done_bytes, std::size_t all_bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kPause) return;
    last_ = now;
    std::fprintf(stderr, "counted %zu of %zu MB\n", done_bytes / 1'000'000, all_bytes / 1'000'000);
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};
