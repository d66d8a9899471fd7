// A list that is entered and left without allocating: so nothing can fail where something begins to matter.
#pragma once

namespace ebb::messenger {

/// A place in a ring, alone at first. One that is in no list itself, but stands for it, is its head. Leaves the ring at its end, in
/// whichever order places and head end. One core only.
class RingPlace {
 public:
  RingPlace() = default;
  RingPlace(const RingPlace&) = delete;
  RingPlace& operator=(const RingPlace&) = delete;
  ~RingPlace() { leave_ring(); }

  RingPlace* next_in_ring() const noexcept { return next_; }
  /// As the last of the ring; alone before.
  void enter_ring(RingPlace& head) noexcept {
    previous_ = head.previous_;
    next_ = &head;
    previous_->next_ = next_->previous_ = this;
  }
  /// Alone, it stays so.
  void leave_ring() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

 private:
  RingPlace* previous_ = this;
  RingPlace* next_ = this;
};

}  // namespace ebb::messenger
