// The messenger's peer: gRPC unary calls of opaque bytes over loopback, without any encoding of arguments.
#include <benchmark/benchmark.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

namespace {

class Echo final : public grpc::CallbackGenericService {
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor() { StartRead(&bytes_); }
    void OnReadDone(bool ok) override {
      if (ok) StartWriteAndFinish(&bytes_, {}, grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer bytes_;
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override { return new Reactor; }
};

struct Call {
  grpc::ClientContext context;
  grpc::ByteBuffer answer;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
};

void run(benchmark::State& state, std::size_t window) {
  Echo service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  if (!server) return state.SkipWithError("gRPC does not listen on loopback");
  grpc::GenericStub stub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(std::string(8, 'x'));
  const grpc::ByteBuffer arguments(&slice, 1);

  const auto start = [&] {
    auto* call = new Call;
    call->reader = stub.PrepareUnaryCall(&call->context, "/benchmark.Echo/Call", arguments, &queue);
    call->reader->StartCall();
    call->reader->Finish(&call->answer, &call->status, call);
  };
  bool failed = false;
  const auto finish = [&] {
    void* tag = nullptr;
    bool ok = false;
    failed |= !queue.Next(&tag, &ok) || !ok;
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    failed |= !call->status.ok();
  };
  start();
  finish();  // connected from now on
  for (std::size_t i = 1; i < window; ++i) start();
  for (auto _ : state) {
    start();
    finish();
  }
  for (std::size_t i = 1; i < window; ++i) finish();
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  if (failed) state.SkipWithError("gRPC calls failed");
  queue.Shutdown();
  server->Shutdown();
}

void BM_GrpcRoundTrip(benchmark::State& state) { run(state, 1); }
BENCHMARK(BM_GrpcRoundTrip)->UseRealTime();

void BM_GrpcPipelined(benchmark::State& state) { run(state, static_cast<std::size_t>(state.range(0))); }
BENCHMARK(BM_GrpcPipelined)->Arg(64)->Arg(1024)->UseRealTime();

}  // namespace
