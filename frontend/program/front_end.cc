#include "frontend/program/front_end.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "ebb/async/runtime.h"
#include "ebb/node.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/hosted.h"
#include "ebb/platform/platform.h"
#include "frontend/cluster/cluster.h"
#include "frontend/cluster/control.h"
#include "frontend/directory/embedded/sqlite_directory.h"
#include "frontend/nodes/image_kind.h"
#include "frontend/nodes/libvirt/key_file.h"
#include "frontend/nodes/libvirt/libvirt_driver.h"
#include "frontend/nodes/process/process_driver.h"
#include "frontend/observe/collector.h"
#include "frontend/otlp/exporter.h"
#include "frontend/program/application.h"
#include "frontend/program/signals.h"
#include "frontend/service/printable.h"
#include "frontend/service/runtime_folder.h"
#include "frontend/service/server.h"

namespace ebb::frontend {
namespace {

namespace fs = std::filesystem;
using cluster::OneShot;

constexpr std::size_t kWorkers = 4;  // nodes that are being launched or stopped at a time
constexpr std::uint32_t kLoopback = 0x7f00'0001;
// How long an interrupted application may go on once its nodes are gone, and how long the node's calls may.
constexpr platform::Duration kApplicationLimit = std::chrono::milliseconds(500);
constexpr platform::Duration kCloseLimit = std::chrono::seconds(5);
// How long objects have for their end after a signal, at most; and how much longer than it was told their end may take.
constexpr platform::Duration kInterruptedDrain = std::chrono::seconds(3);
constexpr platform::Duration kDrainGrace = std::chrono::seconds(1);

// Errors may have texts of nodes in them, which must not drive the terminal.
void say(std::string_view line) { platform::write_log(service::printable_line(line)); }
void say(const Error& error) { say("ebb: " + error.text()); }

Result<fs::path> find_image(const Options& options) {
  const bool machine = options.cluster.driver == "libvirt";
  fs::path image = options.image;
  if (image.empty()) {
    std::error_code error;
    image = fs::read_symlink("/proc/self/exe", error);
    if (machine) image += ".elf";
  }
  const auto kind = nodes::image_kind(image);
  if (!machine && kind == nodes::ImageKind::bare_metal) {
    return Error(Errc::invalid_argument, "'" + image.string() + "' is a bare-metal image; use --driver libvirt");
  }
  if (::access(image.c_str(), machine ? R_OK : R_OK | X_OK) == 0 && !fs::is_directory(image)) {
    if (!machine || kind == nodes::ImageKind::bare_metal) return image;
    return Error(Errc::invalid_argument, "'" + image.string() + "' is no bare-metal image; build one with ebb_add_application, " +
                                             "or use --driver process");
  }
  return Error(Errc::not_found, "backends cannot run '" + image.string() + "': " +
                                    (fs::is_directory(image) ? "it is a folder" : std::strerror(errno)) +
                                    "; build it, or name another image with --ebb-image");
}

/// What lives as long as the process. All but interrupt_ belongs to core 0, or to the main thread while no core runs.
class FrontEnd {
 public:
  FrontEnd(const Options& options, fs::path image, fs::path socket)
      : options_(options), image_(std::move(image)), socket_(std::move(socket)) {}

  /// On the signals' thread.
  void interrupt(int status) {
    interrupt_.store(status, std::memory_order_relaxed);
    cluster::post_surely(CoreIndex{0}, [this] {
      if (on_interrupt_) on_interrupt_();
    });
  }
  [[noreturn]] void end_at_once(int status) const {
    // Processes and domains end with this one; what lies in the file system does not.
    ::unlink(socket_.c_str());
    nodes::remove_own_key_files();
    ::_exit(status);
  }

  task<int> run();

 private:
  task<std::optional<Error>> serve(int* status);
  task<void> end_objects(Node* node, platform::Duration limit, OneShot* ended);
  task<void> close(Node* node, bool clear, OneShot* closed);
  cluster::ClusterSettings settings() const;
  cluster::DriverFactory driver_factory() const;
  cluster::Cluster::Output output() const;
  task<Result<std::unique_ptr<service::Server>>> start_server(cluster::Control* control, observe::Collector* collector);

  const Options& options_;
  const fs::path image_;
  const fs::path socket_;
  cluster::Workers workers_{kWorkers};
  service::MembershipFeed feed_;
  std::atomic<int> interrupt_{0};  // relaxed: the post that follows orders it
  std::function<void()> on_interrupt_;
};

cluster::ClusterSettings FrontEnd::settings() const {
  cluster::ClusterSettings settings;
  settings.driver = options_.cluster.driver;
  settings.node.cores = options_.cluster.cores;
  settings.node.memory_mib = options_.memory_mib;
  settings.node.image = image_;
  platform::fill_random(settings.node.key);
  return settings;
}

cluster::DriverFactory FrontEnd::driver_factory() const {
  if (options_.cluster.driver == "libvirt") {
    nodes::LibvirtSettings settings;
    settings.uri = options_.uri;
    return [settings](nodes::DriverObserver& observer) { return nodes::make_libvirt_driver(settings, observer); };
  }
  return [](nodes::DriverObserver& observer) -> Result<std::unique_ptr<nodes::Driver>> {
    const Result<std::size_t> first = platform::hosted::first_cpu();
    if (!first) return first.error();
    return nodes::make_process_driver(observer, nodes::CpuPlacement(platform::available_cores(), *first, Core::count()));
  };
}

cluster::Cluster::Output FrontEnd::output() const {
  auto print = [](std::string_view line) { say(line); };
  if (options_.quiet) return {[](std::string_view) {}, print};
  return {print, print};
}

task<Result<std::unique_ptr<service::Server>>> FrontEnd::start_server(cluster::Control* control, observe::Collector* collector) {
  std::vector<std::string> addresses{"unix:" + socket_.string()};
  if (!options_.grpc.empty()) addresses.push_back(options_.grpc);
  // Named: gcc 12 destroys the captures of a temporary in a co_await expression twice (bug 99576).
  auto start = [this, addresses, control, collector] { return service::start_server(addresses, *control, *collector, feed_); };
  co_return co_await workers_.run(start);
}

task<void> FrontEnd::end_objects(Node* node, platform::Duration limit, OneShot* ended) {
  co_await node->end_objects(limit);
  ended->happen();
}

task<void> FrontEnd::close(Node* node, bool clear, OneShot* closed) {
  co_await node->close();
  if (clear) co_await NodeTable::instance().clear();
  closed->happen();
}

/// Spans and histograms on their way out of the cluster.
class OtlpSink final : public observe::Sink {
 public:
  explicit OtlpSink(const Options& options) : exporter_(options.otlp, fs::path(options.arguments.front()).filename().string()) {}
  void take(std::vector<service::SpanInfo> spans) noexcept override { exporter_.push(std::move(spans)); }
  void take(service::MethodSnapshot snapshot) noexcept override { exporter_.push(std::move(snapshot)); }

 private:
  otlp::Exporter exporter_;
};

/// Up to the application's end, and what follows it. An error says why the application never began.
task<std::optional<Error>> FrontEnd::serve(int* status) {
  const cluster::ClusterSettings settings = this->settings();
  cluster::Cluster backends(settings, driver_factory(), workers_, feed_, output());
  platform::Endpoint listen{kLoopback, 0};
  if (settings.driver == "libvirt") {
    // The address that nodes will call belongs to the network that the driver makes.
    if (auto ready = co_await backends.prepare(); !ready) co_return std::move(ready).error();
    listen.address = nodes::LibvirtSettings{}.address;
  }
  auto started = co_await Node::start({kFrontEndNode, settings.node.key, listen, &backends});
  if (!started) co_return std::move(started).error();
  const std::unique_ptr<Node> node = *std::move(started);
  backends.set_node(*node);
  cluster::Control control(backends, *node);
  const std::unique_ptr<OtlpSink> sink = options_.otlp.empty() ? nullptr : std::make_unique<OtlpSink>(options_);
  observe::Collector collector(sink.get(), static_cast<std::uint32_t>(options_.trace_per_million));
  backends.set_after_join([&collector](NodeId joined) { return collector.welcome(joined); });
  backends.set_before_stop([&collector](NodeId leaving) { return collector.part_from(leaving); });
  auto server = co_await start_server(&control, &collector);
  struct CloseControl {  // before the server ends, which waits for its calls
    cluster::Control& control;
    observe::Collector& collector;
    ~CloseControl() {
      control.close();
      collector.close();
    }
  } close_control{control, collector};
  collector.start();

  Scope scope;
  OneShot over, application_over, objects_over, closed;
  std::optional<Ending> ending;
  RunningApplication application(options_, backends);
  std::optional<ApplicationRun> running;
  if (server) {
    on_interrupt_ = [&over] { over.happen(); };
    if (interrupt_.load(std::memory_order_relaxed) != 0) over.happen();
    running.emplace(application, [&](Ending end) {
      if (!end.problem.empty() && !end.node_gone && interrupt_.load(std::memory_order_relaxed) == 0) say("ebb: " + end.problem);
      ending = std::move(end);
      application_over.happen();
      over.happen();
    });
    co_await over.wait();
  }
  platform::Duration drain = std::chrono::seconds(options_.drain_seconds);
  if (interrupt_.load(std::memory_order_relaxed) != 0) drain = std::min(drain, kInterruptedDrain);
  if (running && drain != platform::Duration::zero()) {
    scope.spawn(end_objects(node.get(), drain, &objects_over));
    if (!co_await objects_over.wait(drain + kDrainGrace)) say("ebb: a destructor on the front end does not end; it is left behind");
  } else {
    objects_over.happen();
  }
  const int interrupted = interrupt_.load(std::memory_order_relaxed);
  // What nodes have noted of the last calls goes with them.
  co_await collector.finish();
  co_await backends.stop_all();
  // Once is enough for one loss, and the cluster knows its reason.
  if (ending && ending->node_gone && interrupted == 0 && !backends.has_lost()) say("ebb: " + ending->problem);
  if (running && !ending) static_cast<void>(co_await application_over.wait(kApplicationLimit));
  control.close();
  collector.close();
  if (server) {
    auto end_server = [owned = server->get()] { delete owned; return true; };
    static_cast<void>(server->release());
    static_cast<void>(co_await workers_.run(end_server));
  }
  co_await control.join();
  co_await collector.join();
  const bool application_ended = !running || ending;
  scope.spawn(close(node.get(), application_ended, &closed));
  const bool all_closed = co_await closed.wait(kCloseLimit);
  if (!all_closed) say("ebb: calls to this front end do not end; they are dropped");
  on_interrupt_ = nullptr;
  *status = interrupted != 0 ? interrupted : ending ? ending->status : 1;
  if (!application_ended || !all_closed || !objects_over.happened()) {
    // Whoever still waits must not be resumed any more: the loops stop, then the frames go.
    request_stop(*status);
    Completion<> never;
    co_await never;
  }
  co_await scope.join();
  if (!server) co_return std::move(server).error();
  co_return std::nullopt;
}

task<int> FrontEnd::run() {
  int status = 1;
  if (auto error = co_await serve(&status)) {
    say(*error);
    co_return interrupt_.load(std::memory_order_relaxed) != 0 ? interrupt_.load(std::memory_order_relaxed) : 1;
  }
  co_return status;
}

int fail(const Error& error) {
  say(error);
  return 1;
}

}  // namespace

int run_front_end(const Options& options) {
  block_signals();
  auto image = find_image(options);
  if (!image) return fail(image.error());
  auto directory = directory::open_sqlite_directory(options.directory);
  if (!directory) return fail(directory.error());
  NodeTable::instance().set_directory(make_front_end_directory(*std::move(directory)));
  auto folder = service::make_runtime_folder();
  if (!folder) return fail(folder.error());
  static_cast<void>(service::running_front_ends());  // removes the sockets of dead ones
  const fs::path socket = service::socket_path(*folder, ::getpid());

  FrontEnd front_end(options, *image, socket);
  const std::size_t available = platform::available_cores();
  const std::size_t cores = options.frontend_cores != 0 ? options.frontend_cores : std::min(available, kMostDefaultCores);
  int status = 0;
  {
    const SignalThread signals([&](int value) { front_end.interrupt(value); },
                               [&](int value) { front_end.end_at_once(value); });
    status = run_cores(cores, [&] { return front_end.run(); });
  }
  ::unlink(socket.c_str());
  return status;
}

}  // namespace ebb::frontend
