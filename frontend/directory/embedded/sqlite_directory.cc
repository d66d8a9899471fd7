// Object records in one table, the next id in the other; every statement is prepared once.
#include "frontend/directory/embedded/sqlite_directory.h"

#include <sqlite3.h>

#include <algorithm>
#include <bit>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "ebb/object/id_quarantine.h"
#include "ebb/object/leased_ids.h"

namespace ebb::frontend::directory {
namespace {

// Written into the file's header, by which a file of something else is told apart.
constexpr int kApplicationId = 0x4d4c4f53;  // "MLOS"
constexpr int kVersion = 8;

constexpr const char* kSchema =
    "CREATE TABLE objects(id INTEGER PRIMARY KEY, interface_id INTEGER NOT NULL, interface_name TEXT NOT NULL,"
    " home INTEGER NOT NULL, policy TEXT NOT NULL, home_core INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " name TEXT, implementation INTEGER NOT NULL DEFAULT 0, swaps INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL) STRICT;"
    // Most objects have none, and then cost nothing here.
    "CREATE UNIQUE INDEX objects_by_name ON objects(name) WHERE name IS NOT NULL;"
    "CREATE INDEX objects_by_home ON objects(home);"
    "CREATE TABLE removed(id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE leases(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, holder INTEGER NOT NULL) STRICT;"
    "CREATE TABLE next_id(only INTEGER PRIMARY KEY CHECK(only = 1), value INTEGER NOT NULL) STRICT;";

struct Close {
  void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Prepared = std::unique_ptr<sqlite3_stmt, Close>;

/// A statement with its parameters bound, for one use; ready for the next one afterwards.
class Use {
 public:
  explicit Use(const Prepared& statement) noexcept : statement_(statement.get()) {}
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Use& bind(std::int64_t value) noexcept {
    sqlite3_bind_int64(statement_, ++parameter_, value);
    return *this;
  }
  /// `text` outlives this.
  Use& bind(const std::string& text) noexcept {
    sqlite3_bind_text(statement_, ++parameter_, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
  }
  /// NULL if it is empty.
  Use& bind_name(const std::string& text) noexcept {
    if (!text.empty()) return bind(text);
    sqlite3_bind_null(statement_, ++parameter_);
    return *this;
  }
  /// SQLITE_ROW, SQLITE_DONE, or an error.
  int step() noexcept { return sqlite3_step(statement_); }
  std::int64_t number(int column) noexcept { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
  }

 private:
  sqlite3_stmt* statement_;
  int parameter_ = 0;
};

ObjectRecord record_of(Use& row) {
  return {ObjectId(static_cast<std::uint32_t>(row.number(0))), std::bit_cast<std::uint64_t>(row.number(1)), row.text(2),
          NodeId(static_cast<std::uint32_t>(row.number(3))), row.text(4),
          CoreIndex(static_cast<std::uint16_t>(row.number(5))), static_cast<std::uint32_t>(row.number(6)), row.text(7),
          std::bit_cast<std::uint64_t>(row.number(8)), std::bit_cast<std::uint64_t>(row.number(9)),
          std::bit_cast<std::uint64_t>(row.number(10))};
}

class SqliteDirectory final : public Directory {
 public:
  SqliteDirectory(std::string name, std::uint32_t limit, IdReuse reuse)
      : name_(std::move(name)), limit_(std::min(limit, kMaxObjects)), quarantine_(reuse) {}

  Result<void> open(const std::string& file) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(file.empty() ? ":memory:" : file.c_str(), &opened,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(opened);
    if (code != SQLITE_OK) return failure(code);
    // Exclusive: the counter below is this process's alone.
    if (auto set = run("PRAGMA trusted_schema=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"); !set) return set;
    if (auto set = run("BEGIN EXCLUSIVE"); !set) return set;
    Result<void> ready = check_schema();
    if (ready) ready = run("COMMIT");
    if (ready) ready = prepare();
    if (ready) ready = read_removed();
    return ready;
  }

  task<Result<ObjectRecord>> create(NewObject wanted) override {
    if (Result<void> sound = check(wanted); !sound) co_return std::move(sound).error();
    const std::lock_guard guard(mutex_);
    if (!wanted.name.empty() && Use(find_).bind(wanted.name).step() == SQLITE_ROW) co_return name_taken(wanted.name);
    const std::optional<ObjectId> again = quarantine_.next();
    if (!again && next_ >= limit_) {
      co_return Error(Errc::resource_exhausted, "all " + std::to_string(limit_ - kFirstDynamicObject.index()) +
                                                    " object ids are in use, or were until lately; destroy objects, or wait");
    }
    const ObjectRecord record = record_from(again.value_or(ObjectId(next_)), std::move(wanted), created_ + 1);
    if (Result<void> stored = store(record); !stored) {
      undo();
      co_return std::move(stored).error();
    }
    ++created_;
    if (again) {
      quarantine_.take();
    } else {
      ++next_;
    }
    co_return record;
  }

  task<Result<ObjectRecord>> lookup(ObjectId id) override {
    const std::lock_guard guard(mutex_);
    Use row(lookup_);
    const int code = row.bind(id.index()).step();
    if (code == SQLITE_ROW) co_return record_of(row);
    if (code == SQLITE_DONE) co_return missing(id);
    co_return failure(code);
  }

  task<Result<ObjectRecord>> find(std::string name) override {
    const std::lock_guard guard(mutex_);
    Use row(find_);
    const int code = row.bind(name).step();
    if (code == SQLITE_ROW) co_return record_of(row);
    if (code == SQLITE_DONE) co_return name_missing(name);
    co_return failure(code);
  }

  task<Result<void>> remove(ObjectId id) override {
    const std::lock_guard guard(mutex_);
    if (quarantine_.is_ending(id)) co_return Result<void>();
    int code = Use(begin_).step();
    if (code == SQLITE_DONE) code = Use(remove_).bind(id.index()).step();
    const bool there = code == SQLITE_DONE && sqlite3_changes(database_.get()) != 0;
    if (there) code = Use(note_removed_).bind(id.index()).step();
    if (code == SQLITE_DONE) code = Use(commit_).step();
    if (code != SQLITE_DONE) {
      undo();
      co_return failure(code);
    }
    if (!there) co_return missing(id);
    quarantine_.removed(id);
    co_return Result<void>();
  }

  task<Result<void>> retire(ObjectId id, std::uint64_t) override {
    const std::lock_guard guard(mutex_);
    if (!quarantine_.retire(id)) co_return not_ending(id);
    co_return Result<void>();
  }

  task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit) override {
    const std::lock_guard guard(mutex_);
    Use row(list_);
    row.bind(after.index()).bind(std::min(limit, kMaxListed));
    co_return records_of(row);
  }

  task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit) override {
    const std::lock_guard guard(mutex_);
    Use row(list_at_);
    row.bind(to_number(home)).bind(after.index()).bind(std::min(limit, kMaxListed));
    co_return records_of(row);
  }

  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) override {
    if (Result<void> sound = check_core(home_core); !sound) co_return std::move(sound).error();
    if (Result<void> sound = check_epoch(epoch); !sound) co_return std::move(sound).error();
    const std::lock_guard guard(mutex_);
    {
      Use row(re_home_);
      int code = row.bind(to_number(home)).bind(to_number(home_core)).bind(id.index()).bind(epoch).step();
      if (code == SQLITE_ROW) {
        ObjectRecord record = record_of(row);
        // It is not done before that, and may fail yet.
        code = row.step();
        if (code == SQLITE_DONE) co_return record;
      }
      if (code != SQLITE_DONE) co_return failure(code);
    }
    const int code = Use(lookup_).bind(id.index()).step();
    if (code == SQLITE_DONE) co_return missing(id);
    if (code != SQLITE_ROW) co_return failure(code);
    co_return Error(Errc::moved, "object " + std::to_string(id.index()) + " has another home already");
  }

  task<Result<std::uint64_t>> implement(ObjectId id, std::uint64_t implementation) override {
    const std::lock_guard guard(mutex_);
    Use row(implement_);
    int code = row.bind(std::bit_cast<std::int64_t>(implementation)).bind(id.index()).step();
    if (code == SQLITE_DONE) co_return missing(id);
    if (code != SQLITE_ROW) co_return failure(code);
    const auto number = std::bit_cast<std::uint64_t>(row.number(0));
    code = row.step();  // it is not done before that
    if (code != SQLITE_DONE) co_return failure(code);
    co_return number;
  }

  task<Result<IdLease>> lease(NodeId holder, std::uint32_t wanted) override {
    const std::lock_guard guard(mutex_);
    IdLease lease{ObjectId(next_), leasable(wanted, limit_ - next_)};
    const bool again = lease.count == 0;
    if (again) lease = quarantine_.next_run(leasable(wanted, quarantine_.retired()), [this](ObjectId id) { return leased_.covers(id); });
    if (lease.count == 0) co_return none_to_lease();
    const std::int64_t behind = std::int64_t{lease.first.index()} + lease.count;
    int code = Use(begin_).step();
    if (code == SQLITE_DONE) code = Use(lease_).bind(lease.first.index()).bind(lease.count).bind(to_number(holder)).step();
    if (code == SQLITE_DONE && !again) code = Use(count_).bind(behind).step();
    if (code == SQLITE_DONE && again) code = Use(forget_all_removed_).bind(lease.first.index()).bind(behind).step();
    if (code == SQLITE_DONE) code = Use(commit_).step();
    if (code != SQLITE_DONE) {
      undo();
      co_return failure(code);
    }
    if (again) {
      quarantine_.take(lease);
    } else {
      next_ += lease.count;
    }
    leased_.grant(lease, holder);
    co_return lease;
  }

  task<Result<void>> enter(NodeId holder, std::vector<LeasedObject> objects) override {
    if (Result<void> sound = check(objects); !sound) co_return sound;
    const std::lock_guard guard(mutex_);
    std::erase_if(objects, [&](const LeasedObject& each) { return leased_.holder_of(each.id) != holder; });
    std::uint64_t created = created_;
    int code = Use(begin_).step();
    for (LeasedObject& each : objects) {
      if (code == SQLITE_DONE) code = insert(record_from(each.id, std::move(each.object), ++created));
    }
    if (code == SQLITE_DONE) code = Use(commit_).step();
    if (code != SQLITE_DONE) {
      undo();
      co_return failure(code);
    }
    created_ = created;
    for (const LeasedObject& each : objects) leased_.use(each.id, holder);
    co_return Result<void>();
  }

  NodeId leaseholder(ObjectId id) override {
    const std::lock_guard guard(mutex_);
    return leased_.holder_of(id);
  }

  task<Result<void>> end_leases(NodeId holder) override {
    const std::lock_guard guard(mutex_);
    const std::vector<ObjectId> free = leased_.end(holder);
    int code = Use(begin_).step();
    for (const ObjectId id : free) {
      if (code == SQLITE_DONE) code = Use(note_removed_).bind(id.index()).step();
    }
    if (code == SQLITE_DONE) code = Use(end_leases_).bind(to_number(holder)).step();
    if (code == SQLITE_DONE) code = Use(commit_).step();
    if (code != SQLITE_DONE) undo();
    // Even so they come back: at the latest when the file is opened again.
    for (const ObjectId id : free) {
      quarantine_.removed(id);
      quarantine_.retire(id);
    }
    if (code != SQLITE_DONE) co_return failure(code);
    co_return Result<void>();
  }

 private:
  static ObjectRecord record_from(ObjectId id, NewObject wanted, std::uint64_t created) {
    return {id, wanted.interface_id, std::move(wanted.interface_name), wanted.home, std::move(wanted.policy), wanted.home_core,
            1,  std::move(wanted.name), 0, 0, created};
  }

  Result<std::vector<ObjectRecord>> records_of(Use& row) {
    std::vector<ObjectRecord> records;
    int code = row.step();
    for (; code == SQLITE_ROW; code = row.step()) records.push_back(record_of(row));
    if (code != SQLITE_DONE) return failure(code);
    return records;
  }

  Result<void> run(const char* statements) {
    const int code = sqlite3_exec(database_.get(), statements, nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return {};
    return failure(code);
  }

  void undo() {
    if (sqlite3_get_autocommit(database_.get()) == 0) static_cast<void>(run("ROLLBACK"));
  }

  /// Ids that were removed in an earlier life of the file: its nodes are gone, so that their grace begins now.
  Result<void> read_removed() {
    Use row(read_removed_);
    int code = row.step();
    for (; code == SQLITE_ROW; code = row.step()) {
      const std::int64_t number = row.number(0);
      if (number < kFirstDynamicObject.index() || number >= next_) return wrong_file();
      const ObjectId id(static_cast<std::uint32_t>(number));
      quarantine_.removed(id);
      quarantine_.retire(id);
    }
    if (code != SQLITE_DONE) return failure(code);
    return {};
  }

  Result<std::int64_t> number(const char* statement) {
    sqlite3_stmt* prepared = nullptr;
    int code = sqlite3_prepare_v2(database_.get(), statement, -1, &prepared, nullptr);
    const Prepared held(prepared);
    if (code == SQLITE_OK) {
      Use row(held);
      code = row.step();
      if (code == SQLITE_ROW) return row.number(0);
      if (code == SQLITE_DONE) return wrong_file();
    }
    return failure(code);
  }

  /// Inside a transaction: makes the tables of a new file, or checks that these are ours; reads the next id.
  Result<void> check_schema() {
    auto tables = number("SELECT count(*) FROM sqlite_schema");
    if (!tables) return std::move(tables).error();
    if (*tables == 0) {
      const std::string make = std::string(kSchema) + "INSERT INTO next_id VALUES(1, " +
                               std::to_string(kFirstDynamicObject.index()) + "); PRAGMA application_id=" +
                               std::to_string(kApplicationId) + "; PRAGMA user_version=" + std::to_string(kVersion) + ";";
      if (auto made = run(make.c_str()); !made) return made;
    }
    auto application = number("PRAGMA application_id");
    if (!application) return std::move(application).error();
    auto version = number("PRAGMA user_version");
    if (!version) return std::move(version).error();
    if (*application != kApplicationId || *version != kVersion) return wrong_file();
    // The table is believed no more than it must be: a record above the counter moves the counter.
    auto next = number("SELECT max(value, (SELECT coalesce(max(id), 0) + 1 FROM objects)) FROM next_id");
    if (!next) return std::move(next).error();
    if (*next < kFirstDynamicObject.index() || *next > kMaxObjects) return wrong_file();
    next_ = static_cast<std::uint32_t>(*next);
    if (auto sound = check_records(); !sound) return sound;
    if (auto freed = free_leases(); !freed) return freed;
    // The nodes of an earlier life of the file are gone, and others have their ids now: these are no homes of what it names.
    const std::string none = std::to_string(to_number(kNoNode));
    if (auto lost = run(("UPDATE objects SET home = " + none + " WHERE home <> " + none).c_str()); !lost) return lost;
    auto created = number("SELECT coalesce(max(created), 0) FROM objects");
    if (!created) return std::move(created).error();
    created_ = static_cast<std::uint64_t>(*created);
    return {};
  }

  /// Nodes index their tables by what records say: one that no directory writes makes the file somebody else's. Nobody writes to
  /// it from now on but this process.
  Result<void> check_records() {
    const std::string longest = std::to_string(kMaxNameBytes);
    auto wrong = number(("SELECT count(*) FROM objects WHERE id < " + std::to_string(kFirstDynamicObject.index()) +
                         " OR home NOT BETWEEN 0 AND 0xffffffff OR home_core NOT BETWEEN 0 AND " + std::to_string(kMaxCores - 1) +
                         " OR epoch NOT BETWEEN 1 AND 0xffffffff OR created < 0 OR length(CAST(interface_name AS BLOB)) > " + longest +
                         " OR length(CAST(policy AS BLOB)) > " + longest + " OR length(CAST(name AS BLOB)) > " + longest).c_str());
    if (!wrong) return std::move(wrong).error();
    if (*wrong != 0) return wrong_file();
    return {};
  }

  /// Inside a transaction: the leases of an earlier life of the file have ended with its nodes; what they did not enter is as good
  /// as removed.
  Result<void> free_leases() {
    auto wrong = number(("SELECT count(*) FROM leases WHERE count < 1 OR count > " + std::to_string(kIdLease) + " OR first < " +
                         std::to_string(kFirstDynamicObject.index()) + " OR first + count > " + std::to_string(next_)).c_str());
    if (!wrong) return std::move(wrong).error();
    if (*wrong != 0) return wrong_file();
    return run("WITH RECURSIVE leased(id, behind) AS ("
               "SELECT first, first + count FROM leases UNION ALL SELECT id + 1, behind FROM leased WHERE id + 1 < behind)"
               "INSERT OR IGNORE INTO removed SELECT id FROM leased WHERE id NOT IN (SELECT id FROM objects);"
               "DELETE FROM leases;");
  }

  Result<void> prepare() {
    const std::pair<Prepared*, const char*> statements[] = {
        {&begin_, "BEGIN"},
        {&commit_, "COMMIT"},
        {&insert_, "INSERT INTO objects(id, interface_id, interface_name, home, policy, home_core, epoch, name, created) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"},
        {&count_, "UPDATE next_id SET value = ?"},
        {&lookup_, "SELECT id, interface_id, interface_name, home, policy, home_core, epoch, name, implementation, swaps, created FROM objects WHERE id = ?"},
        {&find_, "SELECT id, interface_id, interface_name, home, policy, home_core, epoch, name, implementation, swaps, created FROM objects WHERE name = ?"},
        {&remove_, "DELETE FROM objects WHERE id = ?"},
        {&note_removed_, "INSERT INTO removed(id) VALUES(?)"},
        {&forget_removed_, "DELETE FROM removed WHERE id = ?"},
        {&forget_all_removed_, "DELETE FROM removed WHERE id >= ? AND id < ?"},
        // An id that names an object is not free, whatever the table says.
        {&read_removed_, "SELECT id FROM removed WHERE id NOT IN (SELECT id FROM objects) ORDER BY id"},
        {&list_, "SELECT id, interface_id, interface_name, home, policy, home_core, epoch, name, implementation, swaps, created FROM objects WHERE id > ? ORDER BY id LIMIT ?"},
        {&list_at_, "SELECT id, interface_id, interface_name, home, policy, home_core, epoch, name, implementation, swaps, created FROM objects WHERE home = ? AND id > ? ORDER BY id LIMIT ?"},
        {&re_home_, "UPDATE objects SET home = ?, home_core = ?, epoch = epoch + 1 WHERE id = ? AND epoch = ?"
                    " RETURNING id, interface_id, interface_name, home, policy, home_core, epoch, name, implementation, swaps, created"},
        {&lease_, "INSERT INTO leases(first, count, holder) VALUES(?, ?, ?)"},
        {&end_leases_, "DELETE FROM leases WHERE holder = ?"},
        {&implement_, "UPDATE objects SET implementation = ?, swaps = swaps + 1 WHERE id = ? RETURNING swaps"},
    };
    for (const auto& [place, text] : statements) {
      sqlite3_stmt* prepared = nullptr;
      const int code = sqlite3_prepare_v3(database_.get(), text, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
      place->reset(prepared);
      if (code != SQLITE_OK) return failure(code);
    }
    return {};
  }

  int insert(const ObjectRecord& record) {
    return Use(insert_)
        .bind(record.id.index())
        .bind(std::bit_cast<std::int64_t>(record.interface_id))
        .bind(record.interface_name)
        .bind(to_number(record.home))
        .bind(record.policy)
        .bind(to_number(record.home_core))
        .bind(record.epoch)
        .bind_name(record.name)
        .bind(std::bit_cast<std::int64_t>(record.created))
        .step();
  }

  /// The record and the counter behind it, or neither.
  Result<void> store(const ObjectRecord& record) {
    int code = Use(begin_).step();
    if (code == SQLITE_DONE) code = insert(record);
    if (code == SQLITE_DONE && record.id.index() == next_) code = Use(count_).bind(std::int64_t{next_} + 1).step();
    if (code == SQLITE_DONE && record.id.index() < next_) code = Use(forget_removed_).bind(record.id.index()).step();
    if (code == SQLITE_DONE) code = Use(commit_).step();
    if (code == SQLITE_DONE) return {};
    return failure(code);
  }

  Error wrong_file() const {
    return Error(Errc::malformed, name_ + " is not an object directory of this version; name another file");
  }

  /// What the system said to the last open or read or write that failed.
  std::string system_reason() const {
    const int reason = database_ == nullptr ? 0 : sqlite3_system_errno(database_.get());
    return reason == 0 ? std::string() : ": " + std::generic_category().message(reason);
  }

  Error failure(int code) const {
    switch (code & 0xff) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return Error(Errc::address_in_use, name_ + " is in use by another program; end it, or name another file");
      case SQLITE_NOTADB:
      case SQLITE_CORRUPT: return wrong_file();
      case SQLITE_PERM:
      case SQLITE_READONLY:
        return Error(Errc::permission_denied, name_ + " cannot be written; check who owns it and its folder");
      case SQLITE_CANTOPEN:
        return Error(Errc::not_found,
                     name_ + " cannot be opened" + system_reason() + "; check that its folder exists and who owns it");
      case SQLITE_FULL: return Error(Errc::resource_exhausted, name_ + " has no room left on its disk");
      default: return Error(Errc::unavailable, name_ + " does not work: " + sqlite3_errstr(code));
    }
  }

  const std::string name_;  // as errors call it
  const std::uint32_t limit_;
  std::mutex mutex_;  // guards everything below; held for one operation, never across a wait
  std::uint32_t next_ = kFirstDynamicObject.index();
  std::uint64_t created_ = 0;  // of the newest object
  IdQuarantine quarantine_;
  LeasedIds leased_;
  Database database_;  // before its statements: they end first
  Prepared begin_, commit_, insert_, count_, lookup_, find_, remove_, note_removed_, forget_removed_, forget_all_removed_, read_removed_, list_, list_at_, re_home_,
      lease_, end_leases_, implement_;
};

}  // namespace

Result<std::unique_ptr<Directory>> open_sqlite_directory(const std::string& file, std::uint32_t limit, IdReuse reuse) {
  auto directory = std::make_unique<SqliteDirectory>(
      file.empty() ? "the directory" : "the directory '" + file + "'", limit, reuse);
  if (auto opened = directory->open(file); !opened) return std::move(opened).error();
  return std::unique_ptr<Directory>(std::move(directory));
}

}  // namespace ebb::frontend::directory
