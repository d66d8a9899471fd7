// Counts the words of a file with one object whose representatives, one a core, each count what they are handed.
#include <chrono>
#include <cstdio>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "examples/word_count/options.h"
#include "examples/word_count/piece_reader.h"
#include "examples/word_count/report.h"
#include "examples/word_count/word_count.h"

namespace {

// Pieces under way to one core: one it counts, one that waits for it.
constexpr int kPiecesAhead = 2;

/// Hands pieces to one core until the file ends or something fails.
ebb::task<ebb::Result<void>> feed(PieceReader* reader, ebb::ref<WordCount> object, ebb::CoreIndex core) {
  for (;;) {
    auto piece = reader->next();
    if (!piece) co_return std::move(piece).error();
    if (!*piece) co_return ebb::Result<void>();
    auto counted = co_await object.on(core).call<&WordCount::count>(*std::move(*piece));
    if (!counted) co_return counted;
  }
}

WordTable merged(WordTable left, WordTable right) {
  for (auto& [word, count] : right) left[word] += count;
  return left;
}

ebb::task<int> count_words(Options options) {
  PieceReader reader = PieceReader::open(options.file).value();
  const auto object = (co_await ebb::create<WordCount>()).value();
  Report report;
  const auto start = std::chrono::steady_clock::now();
  std::vector<ebb::task<ebb::Result<void>>> feeders;
  for (std::uint16_t core = 0; core < options.cores; ++core) {
    for (int ahead = 0; ahead < kPiecesAhead; ++ahead) feeders.push_back(feed(&reader, object, ebb::CoreIndex(core)));
  }
  for (const auto& fed : co_await ebb::when_all(std::move(feeders))) fed.value();
  report.table = (co_await object.reduce<&WordCount::table>(WordTable(), merged)).value();
  report.work_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (std::uint16_t core = 0; core < options.cores; ++core) {
    report.pieces.push_back((co_await object.on(ebb::CoreIndex(core)).call<&WordCount::piece_count>()).value());
  }
  (co_await ebb::destroy(object)).value();
  print_report(report);
  if (!options.json.empty()) write_json(report, options.json).value();
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "word_count: %s\n%s", options.error().text().c_str(), kUsage);
    return 2;
  }
  if (options->help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  return ebb::run_cores(options->cores, [&options] { return count_words(*options); });
}
