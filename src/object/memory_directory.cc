#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "ebb/object/directory.h"
#include "ebb/object/id_quarantine.h"
#include "ebb/object/leased_ids.h"

namespace ebb {
namespace {

class MemoryDirectory final : public Directory {
 public:
  MemoryDirectory(std::uint32_t limit, IdReuse reuse) : limit_(std::min(limit, kMaxObjects)), quarantine_(reuse) {}

  task<Result<ObjectRecord>> create(NewObject wanted) override {
    if (Result<void> sound = check(wanted); !sound) co_return std::move(sound).error();
    const std::lock_guard guard(mutex_);
    if (names_.contains(wanted.name)) co_return name_taken(wanted.name);
    const std::optional<ObjectId> again = quarantine_.next();
    if (!again && next_ >= limit_) {
      co_return Error(Errc::resource_exhausted, "all " + std::to_string(limit_ - kFirstDynamicObject.index()) +
                                                    " object ids are in use, or were until lately; destroy objects, or wait");
    }
    ObjectRecord record = add(again.value_or(ObjectId(next_)), std::move(wanted));
    if (again) {
      quarantine_.take();
    } else {
      ++next_;
    }
    co_return record;
  }

  task<Result<ObjectRecord>> lookup(ObjectId id) override {
    const std::lock_guard guard(mutex_);
    if (const auto found = records_.find(id); found != records_.end()) co_return found->second;
    co_return missing(id);
  }

  task<Result<ObjectRecord>> find(std::string name) override {
    const std::lock_guard guard(mutex_);
    if (const auto found = names_.find(name); found != names_.end()) co_return records_.at(found->second);
    co_return name_missing(name);
  }

  task<Result<void>> remove(ObjectId id) override {
    const std::lock_guard guard(mutex_);
    const auto found = records_.find(id);
    if (found == records_.end() && quarantine_.is_ending(id)) co_return Result<void>();
    if (found == records_.end()) co_return missing(id);
    names_.erase(found->second.name);
    records_.erase(found);
    quarantine_.removed(id);
    co_return Result<void>();
  }

  task<Result<void>> retire(ObjectId id, std::uint64_t) override {
    const std::lock_guard guard(mutex_);
    if (!quarantine_.retire(id)) co_return not_ending(id);
    co_return Result<void>();
  }

  task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit) override {
    co_return select(after, limit, [](const ObjectRecord&) { return true; });
  }

  task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit) override {
    co_return select(after, limit, [home](const ObjectRecord& record) { return record.home == home; });
  }

  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) override {
    if (Result<void> sound = check_core(home_core); !sound) co_return std::move(sound).error();
    if (Result<void> sound = check_epoch(epoch); !sound) co_return std::move(sound).error();
    const std::lock_guard guard(mutex_);
    const auto found = records_.find(id);
    if (found == records_.end()) co_return missing(id);
    ObjectRecord& record = found->second;
    if (record.epoch != epoch) {
      co_return Error(Errc::moved, "object " + std::to_string(id.index()) + " has another home already");
    }
    record.home = home;
    record.home_core = home_core;
    ++record.epoch;
    co_return record;
  }

  task<Result<std::uint64_t>> implement(ObjectId id, std::uint64_t implementation) override {
    const std::lock_guard guard(mutex_);
    const auto found = records_.find(id);
    if (found == records_.end()) co_return missing(id);
    found->second.implementation = implementation;
    co_return ++found->second.swaps;
  }

  task<Result<IdLease>> lease(NodeId holder, std::uint32_t wanted) override {
    const std::lock_guard guard(mutex_);
    IdLease lease{ObjectId(next_), leasable(wanted, limit_ - next_)};
    if (lease.count != 0) {
      next_ += lease.count;
    } else {
      lease = quarantine_.next_run(leasable(wanted, quarantine_.retired()), [this](ObjectId id) { return leased_.covers(id); });
      if (lease.count == 0) co_return none_to_lease();
      quarantine_.take(lease);
    }
    leased_.grant(lease, holder);
    co_return lease;
  }

  task<Result<void>> enter(NodeId holder, std::vector<LeasedObject> objects) override {
    if (Result<void> sound = check(objects); !sound) co_return sound;
    const std::lock_guard guard(mutex_);
    for (LeasedObject& each : objects) {
      if (leased_.use(each.id, holder)) add(each.id, std::move(each.object));
    }
    co_return Result<void>();
  }

  NodeId leaseholder(ObjectId id) override {
    const std::lock_guard guard(mutex_);
    return leased_.holder_of(id);
  }

  task<Result<void>> end_leases(NodeId holder) override {
    const std::lock_guard guard(mutex_);
    for (const ObjectId id : leased_.end(holder)) {
      quarantine_.removed(id);
      quarantine_.retire(id);
    }
    co_return Result<void>();
  }

 private:
  /// The lock is held, and `id` names nothing.
  ObjectRecord add(ObjectId id, NewObject wanted) {
    ObjectRecord record{id, wanted.interface_id, std::move(wanted.interface_name), wanted.home,
                        std::move(wanted.policy), wanted.home_core, 1, std::move(wanted.name), 0, 0, ++created_};
    records_.emplace(id, record);
    if (!record.name.empty()) names_.emplace(record.name, id);
    return record;
  }

  template <class Wanted>
  std::vector<ObjectRecord> select(ObjectId after, std::uint32_t limit, Wanted wanted) {
    std::vector<ObjectRecord> records;
    const std::lock_guard guard(mutex_);
    for (auto next = records_.upper_bound(after); next != records_.end(); ++next) {
      if (records.size() == std::min(limit, kMaxListed)) break;
      if (wanted(next->second)) records.push_back(next->second);
    }
    return records;
  }

  const std::uint32_t limit_;
  std::mutex mutex_;  // guards what is below; held for one table operation, never across a wait
  std::uint32_t next_ = kFirstDynamicObject.index();
  std::uint64_t created_ = 0;  // of the newest object
  std::map<ObjectId, ObjectRecord> records_;
  IdQuarantine quarantine_;
  LeasedIds leased_;
  std::unordered_map<std::string, ObjectId> names_;  // of the records that have one
};

}  // namespace

std::unique_ptr<Directory> make_memory_directory(std::uint32_t limit, IdReuse reuse) {
  return std::make_unique<MemoryDirectory>(limit, reuse);
}

}  // namespace ebb
