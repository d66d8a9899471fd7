#include "src/hosted/core_io.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <chrono>

namespace ebb::platform::hosted {

namespace {
constexpr int kPollBatch = 64;  // callbacks per poll()
}

CoreIo::CoreIo(int wake_descriptor) {
  wake_.assign(wake_descriptor);
  watch_wake();
}

CoreIo::~CoreIo() { wake_.release(); }

void CoreIo::watch_wake() {
  wake_.async_read_some(boost::asio::buffer(&wake_count_, sizeof wake_count_),
                        [this](const boost::system::error_code& error, std::size_t) {
                          if (error != boost::asio::error::operation_aborted) watch_wake();
                        });
}

bool CoreIo::poll() {
  int handled = 0;
  while (handled < kPollBatch && io_.poll_one() != 0) ++handled;
  return handled != 0;
}

void CoreIo::wait(Instant deadline) {
  // Asio waits in whole milliseconds, rounded up. So the last fraction is left to a timer descriptor.
  constexpr auto kWhole = std::chrono::milliseconds(1);
  if (deadline == kNever) {
    io_.run_one();
    return;
  }
  const Duration left = deadline - Clock::now();
  if (left <= Duration::zero()) return;
  if (left >= 2 * kWhole) {
    io_.run_one_for(std::chrono::floor<std::chrono::milliseconds>(left) - kWhole);
    return;
  }
  timer_.expires_after(left);
  timer_.async_wait([](const boost::system::error_code&) {});
  io_.run_one();
  timer_.cancel();
}

Error to_error(const boost::system::error_code& code, const std::string& what, Errc otherwise) {
  namespace error = boost::asio::error;
  const std::string text = what + ": " + code.message();
  if (code == error::connection_refused) return Error(Errc::unavailable, text + "; is the peer running there?");
  if (code == error::host_unreachable || code == error::network_unreachable) {
    return Error(Errc::unavailable, text + "; check the address and the network");
  }
  if (code == error::address_in_use) return Error(Errc::address_in_use, text + "; stop the other program or choose another port");
  if (code == error::access_denied || code == error::no_permission) {
    return Error(Errc::permission_denied, text + "; choose a port above 1023 or run with more rights");
  }
  if (code == error::no_descriptors || code == error::no_memory || code == error::no_buffer_space) {
    return Error(Errc::resource_exhausted, text + "; raise the limit of open files or memory");
  }
  return Error(otherwise, text);
}

}  // namespace ebb::platform::hosted
