// A node for the network test: streams on every core that echo, reset, connect out, and end the node.
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"

namespace {

using namespace std::chrono_literals;
using ebb::platform::Endpoint;
using ebb::platform::Stream;

constexpr std::uint16_t kEchoPort = 7000;     // sends back what comes
constexpr std::uint16_t kConnectPort = 7001;  // "a.b.c.d:port": connects there, sends "hello", answers how it ended
constexpr std::uint16_t kEndPort = 7002;      // ends the node with status 0
constexpr std::uint16_t kResetPort = 7003;    // resets the connection at its first bytes
constexpr std::uint16_t kCorePort = 7004;     // answers the number of the core, and ends

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A stream with an owner that goes when it ends.
struct Session : ebb::platform::StreamHandler {
  std::unique_ptr<Stream> stream;
  std::function<void(Session&)> ended;  // destroys the session
  void on_connected() override {}
  void on_data(std::span<const std::byte>) override {}
  void on_writable() override {}
  void on_closed(ebb::Result<void>) override { ended(*this); }
};

struct Echo final : Session {
  std::string rest;
  void on_data(std::span<const std::byte> bytes) override {
    const std::size_t taken = rest.empty() ? stream->send(bytes) : 0;
    if (taken == bytes.size()) return;
    rest += text_of(bytes.subspan(taken));
    stream->set_reading(false);
  }
  void on_writable() override {
    rest.erase(0, stream->send(bytes_of(rest)));
    if (rest.empty()) stream->set_reading(true);
  }
};

struct Reset final : Session {
  void on_data(std::span<const std::byte>) override { ended(*this); }
};

/// Connects out as it is told, and reports to whoever told it.
struct Connector final : Session {
  struct Outgoing final : ebb::platform::StreamHandler {
    Connector* owner = nullptr;
    std::unique_ptr<Stream> stream;
    std::string received;
    void on_connected() override {
      stream->send(bytes_of("hello"));
      stream->close();
    }
    void on_data(std::span<const std::byte> bytes) override { received += text_of(bytes); }
    void on_writable() override {}
    void on_closed(ebb::Result<void> reason) override {
      owner->report(reason ? "ended after " + received : std::string(ebb::name(reason.code())));
    }
  } outgoing;
  std::string line;
  void on_data(std::span<const std::byte> bytes) override {
    line += text_of(bytes);
    if (line.empty() || line.back() != '\n' || outgoing.stream) return;
    line.pop_back();
    const auto target = ebb::platform::parse_endpoint(line);
    if (!target) return report("no endpoint");
    outgoing.owner = this;
    auto made = ebb::platform::connect(*target, outgoing);
    if (!made) return report(std::string(ebb::name(made.code())) + " at once");
    outgoing.stream = std::move(*made);
  }
  void report(const std::string& text) {
    stream->send(bytes_of(text));
    stream->close();
  }
};

/// One core's listeners and sessions.
struct Server {
  std::vector<std::unique_ptr<ebb::platform::Listener>> listeners;
  std::map<Session*, std::unique_ptr<Session>> sessions;

  template <class Kind>
  Kind& take(std::unique_ptr<Stream> stream) {
    auto made = std::make_unique<Kind>();
    Kind& session = *made;
    session.stream = std::move(stream);
    session.ended = [this](Session& over) { sessions.erase(&over); };
    session.stream->set_handler(session);
    sessions.emplace(&session, std::move(made));
    return session;
  }
  void listen(std::uint16_t port, ebb::platform::AcceptHandler accept) {
    auto made = ebb::platform::listen({0, port}, std::move(accept));
    if (!made) {
      std::printf("cannot listen: %s\n", made.error().to_string().c_str());
      ebb::request_stop(1);
      return;
    }
    listeners.push_back(std::move(*made));
  }
  void start() {
    listen(kEchoPort, [this](std::unique_ptr<Stream> stream) { take<Echo>(std::move(stream)); });
    listen(kConnectPort, [this](std::unique_ptr<Stream> stream) { take<Connector>(std::move(stream)); });
    listen(kResetPort, [this](std::unique_ptr<Stream> stream) { take<Reset>(std::move(stream)); });
    listen(kEndPort, [](std::unique_ptr<Stream>) { ebb::request_stop(0); });
    listen(kCorePort, [this](std::unique_ptr<Stream> stream) {
      Session& session = take<Session>(std::move(stream));
      session.stream->send(bytes_of(std::to_string(ebb::to_number(ebb::Core::current().index()))));
      session.stream->close();
    });
  }
};

thread_local Server* server = nullptr;

void start_server() {
  server = new Server;
  server->start();
}

ebb::task<int> wait_for_address() {
  while (!ebb::platform::own_address()) co_await ebb::sleep_for(1ms);
  co_return 0;
}

ebb::task<int> serve() {
  const auto count = static_cast<std::uint16_t>(ebb::Core::count());
  for (std::uint16_t i = 0; i < count; ++i) co_await ebb::on_core(ebb::CoreIndex{i}, [] { start_server(); });
  const auto address = ebb::platform::own_address();
  std::printf("address %s cores %u\n", ebb::platform::to_string(Endpoint{address.value_or(0), 0}).c_str(), count);
  std::fflush(stdout);
  for (;;) co_await ebb::sleep_for(1h);
}

}  // namespace

int main() {
  // The network lasts from one run to the next.
  if (const int status = ebb::run_cores(ebb::platform::available_cores(), wait_for_address); status != 0) return status;
  return ebb::run_cores(ebb::platform::available_cores(), serve);
}
