#include "ebb/messenger/messenger.h"

#include <sodium.h>

#include <utility>
#include <vector>

#include "ebb/async/on_core.h"
#include "ebb/async/when_all.h"
#include "src/messenger/core_messenger.h"

namespace ebb {
namespace {

using messenger::CoreMessenger;

/// The cores' parts together. Each part is made, used and ended on its own core.
class ClusterMessenger final : public Messenger {
 public:
  ClusterMessenger(MessengerOptions options, MessengerHandler& handler) : options_(options), handler_(handler) {
    parts_.resize(Core::count());
  }
  ~ClusterMessenger() override {
    leave_parts();
    sodium_memzero(options_.key.data(), options_.key.size());
  }

  task<Result<void>> open() {
    // The first core may choose the port; the others share it.
    platform::Endpoint local = options_.listen;
    for (std::size_t core = 0; core < parts_.size(); ++core) {
      auto listening = co_await on_core(index(core), [this, core, local] {
        parts_[core] = std::make_unique<CoreMessenger>(options_, handler_);
        return parts_[core]->listen(local);
      });
      if (!listening) {
        co_await close();
        co_return std::move(listening).error();
      }
      local = *listening;
    }
    local_ = local;
    for (std::size_t core = 0; core < parts_.size(); ++core) {
      co_await on_core(index(core), [this, core] { parts_[core]->set_local(local_); });
    }
    co_return Result<void>();
  }

  platform::Endpoint local() const noexcept override { return local_; }

  task<Result<Bytes>> call(CallTarget target, Bytes arguments) override {
    CoreMessenger* part = here();
    return part == nullptr ? closed<Bytes>() : part->call(std::move(target), std::move(arguments));
  }

  task<Result<void>> send(CallTarget target, Bytes arguments) override {
    CoreMessenger* part = here();
    return part == nullptr ? closed<void>() : part->send(std::move(target), std::move(arguments));
  }

  task<void> set_peer(NodeId node, platform::Endpoint endpoint) override {
    for (std::size_t core = 0; core < parts_.size(); ++core) {
      co_await on_core(index(core), [this, core, node, endpoint] {
        if (parts_[core]) parts_[core]->set_peer(node, endpoint);
      });
    }
  }

  task<void> forget_peer(NodeId node, std::string reason) override {
    for (std::size_t core = 0; core < parts_.size(); ++core) {
      co_await on_core(index(core), [this, core, node, &reason] {
        if (parts_[core]) parts_[core]->forget_peer(node, reason);
      });
    }
  }

  task<void> close() override {
    // Each step on all cores before the next: what came by one core's connection may run, and call, on another.
    co_await on_each([](CoreMessenger& part) { part.begin_closing(); });
    co_await on_each([](CoreMessenger& part) { return part.idle(); });
    co_await on_each([](CoreMessenger& part) { return part.close(); });
    // A closed part answers that it is closing.
    for (std::size_t core = 0; core < parts_.size(); ++core) {
      co_await on_core(index(core), [this, core] { parts_[core].reset(); });
    }
  }

 private:
  /// nullptr once it is closed: whoever calls again and again may not have heard of it.
  CoreMessenger* here() const noexcept { return parts_[to_number(Core::current().index())].get(); }

  template <class T>
  static task<Result<T>> closed() {
    co_return messenger::closing();
  }

  /// Parts are left only where the node was stopped without close(): the loops have ended, and so does the process. Those of
  /// other cores stay as they are, since all that they would give back is of their own core's loop and event sources.
  void leave_parts() {
    static auto* const left = new std::vector<std::unique_ptr<CoreMessenger>>();  // named, so that it is no leak
    const Core* const core = Core::current_or_null();
    for (std::size_t at = 0; at < parts_.size(); ++at) {
      if (parts_[at] && (core == nullptr || core->index() != index(at))) left->push_back(std::move(parts_[at]));
    }
  }

  static CoreIndex index(std::size_t core) { return CoreIndex(static_cast<std::uint16_t>(core)); }

  /// `step(part)` of all parts at once, each on its own core.
  template <class Step>
  task<void> on_each(Step step) {
    std::vector<task<void>> steps;
    for (std::size_t core = 0; core < parts_.size(); ++core) {
      CoreMessenger* const part = parts_[core].get();
      if (part != nullptr) steps.push_back(on_core(index(core), [part, step] { return step(*part); }));
    }
    co_await when_all(std::move(steps));
  }

  MessengerOptions options_;
  MessengerHandler& handler_;
  platform::Endpoint local_;
  std::vector<std::unique_ptr<CoreMessenger>> parts_;  // by core
};

}  // namespace

task<Result<std::unique_ptr<Messenger>>> Messenger::start(MessengerOptions options, MessengerHandler& handler) {
  if (sodium_init() < 0) co_return Error(Errc::internal, "libsodium does not start on this machine");
  auto messenger = std::make_unique<ClusterMessenger>(options, handler);
  if (Result<void> opened = co_await messenger->open(); !opened) co_return std::move(opened).error();
  co_return std::unique_ptr<Messenger>(std::move(messenger));
}

}  // namespace ebb
