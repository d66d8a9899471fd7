// Another node that is this one: calls to it leave by the link and come back to this node's own objects, encoded as between
// nodes. What it answers before that is up to the test.
#pragma once

#include <atomic>
#include <deque>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/node_link.h"

namespace ebb::test {

inline constexpr NodeId kOther{5};

class FakeLink final : public detail::NodeLink {
 public:
  FakeLink() { detail::set_node_link(this); }
  ~FakeLink() { detail::set_node_link(nullptr); }
  FakeLink(const FakeLink&) = delete;
  FakeLink& operator=(const FakeLink&) = delete;

  /// What the next calls of applications' objects are answered, or of all; then they reach the object.
  std::deque<Error> answers;
  bool for_services = false;
  bool always = false;  ///< the last of `answers` again and again
  std::atomic<int> calls = 0;          ///< that were made, of those
  std::vector<std::uint64_t> methods;  ///< of these calls
  // Every core may ask who is a member.
  std::atomic<bool> left = false;  ///< the other is no member any more
  std::atomic<bool> came = false;  ///< and is one again, which no other would be
  NodeId caller = kFrontEndNode;  ///< whose calls they are to the object
  detail::Fence word;   ///< the front end's

  NodeId self() const noexcept override { return kFrontEndNode; }
  std::uint64_t view_version() const noexcept override { return left ? 2 : came ? 3 : 1; }
  detail::ClusterView view() const override {
    if (left) return {2, {{kFrontEndNode, 2, false}}};
    return {view_version(), {{kFrontEndNode, 2, false}, {kOther, 2, false}}};
  }
  std::vector<NodeId> others() const override { return left ? std::vector<NodeId>() : std::vector<NodeId>{kOther}; }
  bool is_member(NodeId node) const override { return node == kFrontEndNode || (node == kOther && !left); }
  bool has_lease() const noexcept override { return true; }
  task<Result<Bytes>> call(detail::RemoteCall call, Bytes arguments) override {
    return carry(this, std::move(call), std::move(arguments));
  }
  task<Result<void>> send(detail::RemoteCall call, Bytes arguments) override {
    const Result<Bytes> dropped = co_await carry(this, std::move(call), std::move(arguments));
    static_cast<void>(dropped);
    co_return Result<void>();
  }
  task<Result<detail::Fence>> fence() override { co_return word; }
  task<Result<void>> end_elsewhere(ObjectId, std::uint64_t) override { co_return Result<void>(); }
  task<Result<std::uint32_t>> swap_elsewhere(ObjectId, std::uint64_t, detail::Swap) override { co_return std::uint32_t{0}; }

 private:
  static task<Result<Bytes>> carry(FakeLink* self, detail::RemoteCall call, Bytes arguments) {
    if (call.timeout <= platform::Duration::zero()) co_return Error(Errc::invalid_argument, "a timeout lies above zero");
    if (self->for_services || call.object >= kFirstApplicationObject) {
      ++self->calls;
      self->methods.push_back(call.method);
      if (!self->answers.empty()) {
        const Error answer = self->answers.front();
        if (!self->always || self->answers.size() > 1) self->answers.pop_front();
        co_return answer;
      }
    }
    cancel_source cancellation;
    const cancel_callback given_up(call.cancellation, [&cancellation] { cancellation.cancel(); });
    const detail::CallOrigin origin{self->caller, platform::Clock::now() + call.timeout, call.trace, &cancellation};
    co_return co_await detail::serve_call(call.object, call.core, call.method, std::move(arguments), origin);
  }
};

}  // namespace ebb::test
