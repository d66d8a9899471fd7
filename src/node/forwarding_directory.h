// A directory around another one, that does nothing else: what adds to one derives from it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ebb/object/directory.h"

namespace ebb {

class ForwardingDirectory : public Directory {
 public:
  explicit ForwardingDirectory(std::unique_ptr<Directory> store) noexcept : store_(std::move(store)) {}

  task<Result<ObjectRecord>> create(NewObject wanted) override { return store_->create(std::move(wanted)); }
  task<Result<ObjectRecord>> lookup(ObjectId id) override { return store_->lookup(id); }
  task<Result<ObjectRecord>> find(std::string name) override { return store_->find(std::move(name)); }
  task<Result<void>> remove(ObjectId id) override { return store_->remove(id); }
  task<Result<void>> retire(ObjectId id, std::uint64_t view) override { return store_->retire(id, view); }
  task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit) override { return store_->list(after, limit); }
  task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit) override {
    return store_->list_at(home, after, limit);
  }
  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) override {
    return store_->re_home(id, epoch, home, home_core);
  }
  task<Result<std::uint64_t>> implement(ObjectId id, std::uint64_t implementation) override {
    return store_->implement(id, implementation);
  }
  task<Result<IdLease>> lease(NodeId holder, std::uint32_t wanted) override { return store_->lease(holder, wanted); }
  task<Result<void>> enter(NodeId holder, std::vector<LeasedObject> objects) override {
    return store_->enter(holder, std::move(objects));
  }
  NodeId leaseholder(ObjectId id) override { return store_->leaseholder(id); }
  task<Result<void>> end_leases(NodeId holder) override { return store_->end_leases(holder); }
  task<void> flush() override { return store_->flush(); }
  task<void> close() override { return store_->close(); }

 protected:
  Directory& store() noexcept { return *store_; }

 private:
  const std::unique_ptr<Directory> store_;
};

}  // namespace ebb
