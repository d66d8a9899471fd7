// A 1-byte request and its reply between two cores over the platform's TCP streams; on Linux that is loopback.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <memory>

#include "ebb/async.h"
#include "ebb/platform/stream.h"

namespace {

constexpr std::uint32_t kLoopback = 0x7f000001;
constexpr std::byte kByte{1};

struct Echo : ebb::platform::StreamHandler {
  std::unique_ptr<ebb::platform::Listener> listener;
  std::unique_ptr<ebb::platform::Stream> stream;
  void on_connected() override {}
  void on_data(std::span<const std::byte> bytes) override { stream->send(bytes); }
  void on_writable() override {}
  void on_closed(ebb::Result<void>) override {}
};

struct Client : ebb::platform::StreamHandler {
  ebb::Completion<>* waiting = nullptr;
  void on_connected() override { waiting->complete(); }
  void on_data(std::span<const std::byte>) override { waiting->complete(); }
  void on_writable() override {}
  void on_closed(ebb::Result<void>) override {}
};

ebb::task<int> round_trip_body(benchmark::State* state) {
  auto* echo = new Echo;  // lives on core 1, removed there at the end
  const ebb::platform::Endpoint server = co_await ebb::on_core(ebb::CoreIndex(1), [echo] {
    echo->listener = ebb::platform::listen({kLoopback, 0}, [echo](std::unique_ptr<ebb::platform::Stream> stream) {
      echo->stream = std::move(stream);
      echo->stream->set_handler(*echo);
    }).value();
    return echo->listener->local();
  });
  Client client;
  {
    ebb::Completion<> connected;
    client.waiting = &connected;
    const auto stream = ebb::platform::connect(server, client).value();
    co_await connected;
    for (auto _ : *state) {
      ebb::Completion<> replied;
      client.waiting = &replied;
      stream->send(std::span(&kByte, 1));
      co_await replied;
    }
  }
  co_await ebb::on_core(ebb::CoreIndex(1), [echo] { delete echo; });
  co_return 0;
}

void BM_StreamRoundTrip(benchmark::State& state) {
  const auto main = [&state] { return round_trip_body(&state); };
  if (ebb::run_cores(2, main) != 0) state.SkipWithError("the cores did not start");
}
BENCHMARK(BM_StreamRoundTrip)->UseRealTime();

}  // namespace
