// ebb_main() as the front end runs it: started, watched, and dropped when the front end must end before it.
#pragma once

#include <coroutine>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ebb/application.h"
#include "frontend/program/options.h"

namespace ebb::frontend {

class RunningApplication final : public application {
 public:
  RunningApplication(const Options& options, cluster_nodes& nodes) noexcept : options_(options), nodes_(nodes) {}

  std::span<const std::string> arguments() const noexcept override { return options_.arguments; }
  const cluster_options& options() const noexcept override { return options_.cluster; }
  cluster_nodes& nodes() noexcept override { return nodes_; }

 private:
  const Options& options_;
  cluster_nodes& nodes_;
};

/// How ebb_main() ended.
struct Ending {
  int status = 0;
  std::string problem;  ///< what was thrown, empty if nothing
  bool node_gone = false;  ///< that was the loss of a node, which the cluster tells with its reason
};

/// A started ebb_main(). Destroying it before its end is allowed only when the event loops have stopped.
class ApplicationRun {
 public:
  /// Starts it; `ended` is called at its end, on core 0.
  ApplicationRun(application& app, std::function<void(Ending)> ended) : frame_(run(&app, std::move(ended))) {}
  ApplicationRun(const ApplicationRun&) = delete;
  ApplicationRun& operator=(const ApplicationRun&) = delete;
  ~ApplicationRun() { frame_.handle.destroy(); }

 private:
  struct Frame {
    struct promise_type {
      Frame get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_always final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
  };
  static Frame run(application* app, std::function<void(Ending)> ended);

  Frame frame_;
};

}  // namespace ebb::frontend
