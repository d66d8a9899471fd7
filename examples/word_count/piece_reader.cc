#include "piece_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "word_count.h"

using ebb::Errc;
using ebb::Error;

ebb::Result<PieceReader> PieceReader::open(const std::string& path) {
  PieceReader reader;
  reader.path_ = path;
  reader.file_.reset(std::fopen(path.c_str(), "rbe"));
  struct stat status {};
  if (!reader.file_ || fstat(fileno(reader.file_.get()), &status) != 0) {
    const int reason = errno;
    return Error(reason == ENOENT ? Errc::not_found : Errc::permission_denied,
                 "cannot read '" + path + "': " + std::strerror(reason) + "; name a text file that you may read");
  }
  if (!S_ISREG(status.st_mode)) {
    return Error(Errc::invalid_argument, "'" + path + "' is not a regular file; name a text file");
  }
  reader.file_bytes_ = static_cast<std::size_t>(status.st_size);
  reader.piece_bytes_ = std::clamp(reader.file_bytes_ / 64, kLeastPieceBytes, kMostPieceBytes);
  return reader;
}

ebb::Result<std::optional<std::string>> PieceReader::next() {
  std::string piece = std::move(rest_);
  rest_.clear();
  for (;;) {
    const std::size_t before = piece.size();
    piece.resize(before + piece_bytes_);
    const std::size_t got = std::fread(piece.data() + before, 1, piece_bytes_, file_.get());
    piece.resize(before + got);
    bytes_read_ += got;
    if (std::ferror(file_.get())) {
      return Error(Errc::unavailable, "reading '" + path_ + "' failed: " + std::strerror(errno));
    }
    if (got < piece_bytes_) {  // the end of the file ends the last word
      if (piece.empty()) return std::optional<std::string>();
      return std::optional(std::move(piece));
    }
    const auto end = std::find_if_not(piece.rbegin(), piece.rend(), is_letter).base();
    if (end != piece.begin()) {
      rest_.assign(end, piece.end());
      piece.erase(end, piece.end());
      return std::optional(std::move(piece));
    }
    if (piece.size() > kMaxWordBytes) {
      return Error(Errc::too_large, "'" + path_ + "' has a run of more than " + std::to_string(kMaxWordBytes) +
                                        " letters without a break; it is no text");
    }
  }
}
