#include "frontend/directory/embedded/sqlite_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/conformance/directory/conformance.h"

namespace ebb::frontend::directory {
namespace {

using conformance::now;
using conformance::wanted;

class SqliteDirectory : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file_ + end);
  }
  const std::string file_ = testing::TempDir() + "directory-" + std::to_string(::getpid()) + ".sqlite";
};

TEST_F(SqliteDirectory, NeverGivesAnIdTwiceAcrossARestart) {
  ObjectId last, kept;
  {
    const auto directory = open_sqlite_directory(file_).value();
    kept = now(directory->create(wanted("kept", 1, NodeId{0}, "a name"))).value().id;
    last = now(directory->create(wanted("a", 1, NodeId{0}))).value().id;
    ASSERT_TRUE(now(directory->remove(last)));
  }
  const auto directory = open_sqlite_directory(file_).value();
  EXPECT_GT(now(directory->create(wanted("a", 1, NodeId{0}))).value().id, last);
  EXPECT_EQ(now(directory->lookup(kept)).value().interface_name, "kept");
  EXPECT_EQ(now(directory->find("a name")).value().id, kept);
}

TEST_F(SqliteDirectory, KnowsNoHomesOfAnEarlierLife) {
  ObjectId object;
  {
    const auto directory = open_sqlite_directory(file_).value();
    object = now(directory->create(wanted("a", 1, NodeId{1}, "a name"))).value().id;
  }
  // Another node has that id now.
  const auto directory = open_sqlite_directory(file_).value();
  EXPECT_EQ(now(directory->find("a name")).value().home, kNoNode);
  const auto lost = now(directory->list_at(kNoNode, ObjectId{}, 10)).value();
  ASSERT_EQ(lost.size(), 1u);
  const auto again = now(directory->re_home(object, lost[0].epoch, NodeId{1}, CoreIndex{0})).value();
  EXPECT_GT(again.epoch, 1u) << "it would not hear that it was lost";
}

TEST_F(SqliteDirectory, NumbersCreationsOnAcrossARestart) {
  std::uint64_t before = 0;
  {
    const auto directory = open_sqlite_directory(file_).value();
    now(directory->create(wanted("a", 1, NodeId{0}))).value();
    before = now(directory->create(wanted("a", 1, NodeId{0}))).value().created;
  }
  const auto directory = open_sqlite_directory(file_).value();
  EXPECT_GT(now(directory->create(wanted("a", 1, NodeId{0}))).value().created, before);
}

TEST_F(SqliteDirectory, GivesIdsOutAgainThatWereRemovedBeforeARestart) {
  ObjectId removed;
  {
    const auto directory = open_sqlite_directory(file_).value();
    removed = now(directory->create(wanted("a", 1, NodeId{0}))).value().id;
    now(directory->create(wanted("b", 1, NodeId{0}))).value();
    ASSERT_TRUE(now(directory->remove(removed)));
  }
  {
    const auto directory = open_sqlite_directory(file_, kMaxObjects, {platform::Duration::zero()}).value();
    EXPECT_EQ(now(directory->create(wanted("c", 1, NodeId{0}))).value().id, removed);
  }
  const auto directory = open_sqlite_directory(file_, kMaxObjects, {platform::Duration::zero()}).value();
  EXPECT_NE(now(directory->create(wanted("d", 1, NodeId{0}))).value().id, removed) << "given out while it names an object";
}

TEST_F(SqliteDirectory, GivesIdsOutAgainThatWereLeasedBeforeARestart) {
  IdLease lease;
  ObjectId last;
  {
    const auto directory = open_sqlite_directory(file_).value();
    lease = now(directory->lease(NodeId{7}, 2)).value();
    last = now(directory->create(wanted("a", 1, NodeId{0}))).value().id;
    std::vector<LeasedObject> made;
    made.push_back({ObjectId(lease.first.index() + 1), wanted("leased", 1, NodeId{7})});
    ASSERT_TRUE(now(directory->enter(NodeId{7}, std::move(made))));
  }
  const auto directory = open_sqlite_directory(file_, kMaxObjects, {platform::Duration::zero()}).value();
  EXPECT_EQ(now(directory->lookup(ObjectId(lease.first.index() + 1))).value().interface_name, "leased");
  EXPECT_EQ(directory->leaseholder(lease.first), kNoNode);
  EXPECT_EQ(now(directory->create(wanted("b", 1, NodeId{0}))).value().id, lease.first);
  EXPECT_GT(now(directory->create(wanted("c", 1, NodeId{0}))).value().id, last);
}

TEST_F(SqliteDirectory, RefusesAFileThatAnotherDirectoryHasOpen) {
  const auto first = open_sqlite_directory(file_).value();
  EXPECT_EQ(open_sqlite_directory(file_).code(), Errc::address_in_use);
}

TEST_F(SqliteDirectory, RefusesAFileOfSomethingElse) {
  std::ofstream(file_) << std::string(4096, 'x');
  EXPECT_EQ(open_sqlite_directory(file_).code(), Errc::malformed);
}

TEST_F(SqliteDirectory, RefusesRecordsThatNoDirectoryWrites) {
  const std::string longest(Directory::kMaxNameBytes + 1, 'x');
  for (const std::string& change : std::initializer_list<std::string>{
           "id = -5", "id = 7", "id = " + std::to_string(kMaxObjects), "id = 9223372036854775807", "home = -1", "home = 4294967296",
           "home_core = -1", "home_core = 64", "epoch = 0", "epoch = 4294967296", "created = -1", "name = '" + longest + "'",
           "interface_name = '" + longest + "'", "policy = '" + longest + "'"}) {
    TearDown();
    now(open_sqlite_directory(file_).value()->create(wanted("a", 1, NodeId{0}, "a name"))).value();
    EXPECT_TRUE(open_sqlite_directory(file_)) << "before " << change;
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, ("UPDATE objects SET " + change).c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << change;
    sqlite3_close(database);
    EXPECT_EQ(open_sqlite_directory(file_).code(), Errc::malformed) << change;
  }
}

TEST_F(SqliteDirectory, SaysWhenItsFileCannotBeMade) {
  const auto opened = open_sqlite_directory("/nowhere/at/all");
  ASSERT_EQ(opened.code(), Errc::not_found);
  EXPECT_THAT(opened.error().text(), testing::HasSubstr("/nowhere/at/all"));
}

}  // namespace
}  // namespace ebb::frontend::directory

namespace ebb::conformance {

INSTANTIATE_TEST_SUITE_P(Sqlite, DirectoryConformance, testing::Values(DirectoryFactory([](std::uint32_t limit, IdReuse reuse) {
                           return frontend::directory::open_sqlite_directory("", limit, reuse).value();
                         })));

}  // namespace ebb::conformance
