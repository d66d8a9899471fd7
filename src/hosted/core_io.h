// The Asio side of one core. Private to src/hosted.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>
#include <string>

#include "ebb/base/result.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"

namespace ebb::platform::hosted {

/// One core's event sources; used by its thread only.
class CoreIo {
 public:
  /// `wake_descriptor` is the core's eventfd, which outlives this.
  explicit CoreIo(int wake_descriptor);
  ~CoreIo();
  CoreIo(const CoreIo&) = delete;
  CoreIo& operator=(const CoreIo&) = delete;

  boost::asio::io_context& io() noexcept { return io_; }
  bool poll();
  void wait(Instant deadline);

 private:
  void watch_wake();

  boost::asio::io_context io_{1};  // one thread: Asio keeps its locks out of the way
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  boost::asio::posix::stream_descriptor wake_{io_};
  boost::asio::steady_timer timer_{io_};
  std::uint64_t wake_count_ = 0;
};

/// The calling core's; only between enter_core() and leave_core().
CoreIo& current_io() noexcept;

/// unavailable / node_gone / address_in_use / ... for what the operating system said about `what`.
Error to_error(const boost::system::error_code& code, const std::string& what, Errc otherwise);

}  // namespace ebb::platform::hosted
