// Counts the words of a file with one object whose representatives, one on each core of each backend, count what they are
// handed; a reduction folds their tables into one on their way here.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include "options.h"
#include "piece_reader.h"
#include "progress.h"
#include "report.h"
#include "word_count.h"

namespace {

using Clock = std::chrono::steady_clock;

// Pieces under way to one core: one it counts, one that waits for it, one that travels.
constexpr int kPiecesAhead = 3;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// What the feeders share.
struct Work {
  PieceReader* reader;
  ebb::ref<WordCount> object;
  Progress progress;
  bool failed = false;  // then the others need not go on
};

/// Hands pieces to one core until the file ends or something fails.
ebb::task<ebb::Result<void>> feed(Work* work, ebb::NodeId node, ebb::CoreIndex core) {
  while (!work->failed) {
    auto piece = work->reader->next();
    if (!piece) {
      work->failed = true;
      co_return std::move(piece).error();
    }
    if (!*piece) break;
    std::string text = *std::move(*piece);
    const ebb::Result<void> counted = co_await work->object.on(node, core).call<&WordCount::count>(std::move(text));
    if (!counted) {
      work->failed = true;
      co_return counted;
    }
    work->progress.show(work->reader->bytes_read(), work->reader->file_bytes());
  }
  co_return ebb::Result<void>();
}

/// The backends, or this node if there are none, with the cores that are to count.
std::vector<NodeReport> counting_nodes(ebb::application* app) {
  std::vector<NodeReport> nodes;
  for (const ebb::NodeStatus& node : app->nodes().list()) nodes.push_back({node.id, node.driver, node.cores});
  if (nodes.empty()) nodes.push_back({ebb::this_node(), "none", static_cast<std::uint16_t>(ebb::Core::count())});
  return nodes;
}

ebb::task<void> start_backends(ebb::application* app, Report* report) {
  const std::size_t count = app->options().backends;
  if (count == 0) co_return;
  std::fprintf(stderr, "starting %zu backends (%s)\n", count, app->options().driver.c_str());
  (co_await app->nodes().add(count)).value();
  for (const ebb::NodeStatus& node : app->nodes().list()) {
    report->seconds.launch = std::max(report->seconds.launch, std::chrono::duration<double>(node.launch).count());
    report->seconds.join = std::max(report->seconds.join, std::chrono::duration<double>(node.join).count());
  }
}

ebb::task<void> stop_backends(ebb::application* app, Report* report) {
  const auto start = Clock::now();
  std::vector<ebb::task<ebb::Result<void>>> stops;
  for (const ebb::NodeStatus& node : app->nodes().list()) stops.push_back(app->nodes().remove(node.id));
  for (const auto& stopped : co_await ebb::when_all(std::move(stops))) stopped.value();
  report->seconds.stop = seconds_since(start);
}

ebb::task<void> count_words(PieceReader* reader, Report* report) {
  const auto start = Clock::now();
  const auto object = (co_await ebb::create<WordCount>()).value();
  Work work{reader, object, {}};
  std::vector<ebb::task<ebb::Result<void>>> feeders;
  for (int ahead = 0; ahead < kPiecesAhead; ++ahead) {
    for (const NodeReport& node : report->nodes) {
      for (std::uint16_t core = 0; core < node.cores; ++core) {
        feeders.push_back(feed(&work, node.id, ebb::CoreIndex(core)));
      }
    }
  }
  for (const auto& fed : co_await ebb::when_all(std::move(feeders))) fed.value();
  report->table = (co_await object.reduce<&WordCount::table>(WordTable(), ebb::merged())).value();
  report->pieces = (co_await object.everywhere().gather<&WordCount::pieces>()).value().value;
  (co_await ebb::destroy(object)).value();
  report->seconds.work = seconds_since(start);
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const auto options = parse_options(app.arguments());
  if (!options) {
    std::fprintf(stderr, "word_count: %s\n%s", options.error().text().c_str(), kUsage);
    co_return 2;
  }
  if (options->help) {
    std::fputs(kUsage, stdout);
    co_return 0;
  }
  PieceReader reader = PieceReader::open(options->file).value();
  OutputFile json;
  if (!options->json.empty()) json = open_json(options->json).value();
  Report report;
  co_await start_backends(&app, &report);
  report.nodes = counting_nodes(&app);
  co_await count_words(&reader, &report);
  co_await stop_backends(&app, &report);
  print_report(report);
  if (json != nullptr) write_json(report, std::move(json), options->json).value();
  co_return 0;
}
