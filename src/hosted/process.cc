// The Linux platform of a whole process: randomness, the launch secret, the log, the end.
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "ebb/platform/hosted.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"

namespace ebb::platform {

namespace {
constexpr std::size_t kMaxSecretBytes = 4096;
constexpr std::uint64_t kNoAddress = ~std::uint64_t{0};
constinit std::atomic<std::uint64_t> configured_address{kNoAddress};
}  // namespace

void fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      // Keys made of anything else would be worse than no node.
      write_log("fatal: the system gives no random bytes (getrandom); allow the call in the sandbox");
      exit_node(EXIT_FAILURE);
    }
  }
}

Result<std::vector<std::byte>> launch_secret() {
  const char* text = std::getenv("EBB_SECRET_FD");
  if (text == nullptr) return Error(Errc::not_found, "no launch secret: EBB_SECRET_FD is not set");
  int descriptor = -1;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, descriptor);
  if (error != std::errc{} || rest != end || descriptor < 0) {
    return Error(Errc::invalid_argument, "EBB_SECRET_FD is not the number of an open file: set it to one or unset it");
  }
  std::vector<std::byte> secret(kMaxSecretBytes + 1);
  std::size_t size = 0;
  int failure = 0;
  while (size < secret.size()) {
    const ssize_t got = read(descriptor, secret.data() + size, secret.size() - size);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      failure = errno;
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  if (failure != EBADF) close(descriptor);
  unsetenv("EBB_SECRET_FD");
  if (failure != 0) {
    return Error(Errc::invalid_argument, std::string("cannot read the launch secret from EBB_SECRET_FD: ") + std::strerror(failure) +
                                             "; pass an open, readable file");
  }
  if (size > kMaxSecretBytes) return Error(Errc::too_large, "the launch secret is longer than 4,096 bytes; hand over a shorter one");
  secret.resize(size);
  return secret;
}

void write_log(std::string_view line) noexcept {
  // One write, so that lines of several threads and processes do not mix; a longer line is cut.
  std::array<char, 4096> text;
  const std::size_t size = std::min(line.size(), text.size() - 1);
  std::memcpy(text.data(), line.data(), size);
  text[size] = '\n';
  // Nobody to tell when even this fails.
  static_cast<void>(!write(STDERR_FILENO, text.data(), size + 1));
}

void exit_node(int status) noexcept {
  std::fflush(nullptr);
  _exit(status);
}

namespace hosted {
void set_own_address(std::uint32_t address) noexcept { configured_address.store(address); }

void raise_file_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
}
}  // namespace hosted

std::optional<std::uint32_t> own_address() noexcept {
  const std::uint64_t address = configured_address.load();
  if (address == kNoAddress) return std::nullopt;
  return static_cast<std::uint32_t>(address);
}

}  // namespace ebb::platform
