// The program of a node that is not the front end: join, serve, stop.
#include "ebb/backend.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ebb/async/runtime.h"
#include "ebb/async/sleep.h"
#include "ebb/node.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"
#include "src/node/following_directory.h"

namespace ebb {
namespace {

using platform::Endpoint;

// How long a node waits for its address (DHCP), and how often it tries to join.
constexpr platform::Duration kAddressWait = std::chrono::seconds(20);  // less than the front end waits for a join
constexpr platform::Duration kAddressLook = std::chrono::milliseconds(2);
constexpr int kJoinAttempts = 5;
constexpr platform::Duration kJoinPause = std::chrono::milliseconds(200);
// How long what a node has may take to end when it leaves; the front end takes it down after 5 s.
constexpr platform::Duration kEndLimit = std::chrono::seconds(3);
constexpr std::uint32_t kLoopback = 0x7f00'0001;

struct Options {
  NodeId node = kNoNode;
  std::optional<Endpoint> frontend;
  std::optional<Endpoint> listen;
  std::size_t cores = 0;  // 0: all of the machine
};

template <class Number>
bool parse_number(std::string_view text, Number least, Number most, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= least && value <= most;
}

Result<Options> parse(int argc, char** argv) {
  Options options;
  for (int index = 1; index < argc; ++index) {
    const std::string_view argument = argv[index];
    const std::size_t equals = std::min(argument.find('='), argument.size());
    const std::string_view name = argument.substr(0, equals);
    const std::string_view value = argument.substr(std::min(equals + 1, argument.size()));
    bool right = true;
    if (name == "--ebb-node") {
      std::uint32_t number = 0;
      right = parse_number<std::uint32_t>(value, 1, to_number(kNoNode) - 1, number);
      options.node = NodeId(number);
    } else if (name == "--ebb-frontend") {
      options.frontend = platform::parse_endpoint(value);
      right = options.frontend.has_value();
    } else if (name == "--ebb-listen") {
      options.listen = platform::parse_endpoint(value);
      right = options.listen.has_value();
    } else if (name == "--ebb-cores") {
      right = parse_number<std::size_t>(value, 1, kMaxCores, options.cores);
    } else if (name != "--ebb-role") {
      return Error(Errc::invalid_argument, "a node does not know the argument '" + std::string(argument) + "'");
    }
    if (!right) return Error(Errc::invalid_argument, "a node cannot use the argument '" + std::string(argument) + "'");
  }
  if (options.node == kNoNode || !options.frontend) {
    return Error(Errc::invalid_argument,
                 "a node needs --ebb-node=N and --ebb-frontend=ADDRESS:PORT; nodes are started by a front end");
  }
  return options;
}

Result<ClusterKey> cluster_key() {
  auto secret = platform::launch_secret();
  if (!secret) return std::move(secret).error();
  ClusterKey key;
  if (secret->size() != key.size()) {
    return Error(Errc::unauthenticated, "the launch secret is not a cluster key: it has " +
                                            std::to_string(secret->size()) + " bytes and not " + std::to_string(key.size()));
  }
  std::copy(secret->begin(), secret->end(), key.begin());
  return key;
}

task<Result<Endpoint>> choose_listen(Options options) {
  if (options.listen) co_return *options.listen;
  if (options.frontend->address >> 24 == kLoopback >> 24) co_return Endpoint{kLoopback, 0};
  const platform::Instant give_up = platform::Clock::now() + kAddressWait;
  for (;;) {
    if (const auto address = platform::own_address()) co_return Endpoint{*address, 0};
    if (platform::Clock::now() > give_up) break;
    co_await sleep_for(kAddressLook);
  }
  co_return Error(Errc::unavailable, "no address after 20 s; is there a DHCP server on this node's network?");
}

task<Result<void>> join(Node* node, Endpoint front_end) {
  for (int attempt = 1;; ++attempt) {
    Result<void> joined = co_await node->join(front_end);
    const bool passing = joined.code() == Errc::node_gone || joined.code() == Errc::unavailable;
    if (joined || !passing || attempt == kJoinAttempts) co_return joined;
    co_await sleep_for(kJoinPause);
  }
}

task<Result<void>> serve(Options options, ClusterKey key) {
  auto listen = co_await choose_listen(options);
  if (!listen) co_return std::move(listen).error();
  const NodeOptions node_options{options.node, key, *listen, nullptr};
  auto started = co_await Node::start(node_options);
  if (!started) co_return std::move(started).error();
  const std::unique_ptr<Node> node = *std::move(started);
  Result<void> outcome = co_await join(node.get(), *options.frontend);
  if (outcome) outcome = co_await node->stopped();
  // Asked to leave: destructors may call other objects as long as there are connections.
  if (outcome) co_await node->end_own_objects(kEndLimit);
  co_await node->close();
  co_await NodeTable::instance().clear();
  co_return outcome;
}

int fail(const std::string& who, const Error& error) {
  platform::write_log(who + ": " + error.to_string());
  return kBackendFailedStatus;
}

task<int> run(Options options, ClusterKey key) {
  const Result<void> served = co_await serve(options, key);
  if (served) co_return 0;
  co_return fail("node " + std::to_string(to_number(options.node)), served.error());
}

}  // namespace

int run_backend(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) return fail("node", options.error());
  const auto key = cluster_key();
  if (!key) return fail("node " + std::to_string(to_number(options->node)), key.error());
  const std::size_t cores = options->cores != 0 ? options->cores : platform::available_cores();
  NodeTable::instance().set_directory(make_backend_directory());
  return run_cores(cores, [&options, &key] { return run(*options, *key); });
}

}  // namespace ebb
