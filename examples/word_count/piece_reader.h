// Cuts a file into pieces that begin and end between words.
#pragma once

#include <ebb/base/result.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

class PieceReader {
 public:
  /// A piece is a 64th of the file within these bounds, so that also a short text gives every core something to do.
  static constexpr std::size_t kLeastPieceBytes = 1024;
  static constexpr std::size_t kMostPieceBytes = 64 * 1024;
  /// A run of letters longer than this is refused: a piece must fit into one call.
  static constexpr std::size_t kMaxWordBytes = 2 * 1024 * 1024;

  /// not_found, permission_denied, or invalid_argument for what is not a regular file.
  static ebb::Result<PieceReader> open(const std::string& path);

  /// The next piece, about as long as said above; nullopt at the end of the file. unavailable when reading fails,
  /// too_large for a word beyond kMaxWordBytes. Blocks for the disk.
  ebb::Result<std::optional<std::string>> next();

  std::size_t bytes_read() const noexcept { return bytes_read_; }
  std::size_t file_bytes() const noexcept { return file_bytes_; }

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::string path_;
  std::string rest_;  // the beginning of a word whose end has not been read
  std::size_t file_bytes_ = 0;
  std::size_t piece_bytes_ = kMostPieceBytes;
  std::size_t bytes_read_ = 0;
};
