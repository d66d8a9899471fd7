#include "frontend/directory/embedded/sqlite_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

namespace ebb::frontend::directory {
namespace {

template <class T>
detail::Detached keep(task<T> work, std::optional<T>* result) {
  result->emplace(co_await std::move(work));
}

/// The directory never waits for an event loop, so its tasks end where they start.
template <class T>
T now(task<T> work) {
  std::optional<T> result;
  keep(std::move(work), &result);
  return std::move(result).value();
}

NewObject wanted(std::string interface_name, std::uint64_t interface_id, NodeId home) {
  return {std::move(interface_name), interface_id, "per_core", home, {}};
}

class SqliteDirectory : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file_ + end);
  }
  static std::unique_ptr<Directory> in_memory(std::uint32_t limit = kMaxObjects) {
    return open_sqlite_directory("", limit).value();
  }
  const std::string file_ = testing::TempDir() + "directory-" + std::to_string(::getpid()) + ".sqlite";
};

TEST_F(SqliteDirectory, FindsWhatWasEntered) {
  const auto directory = in_memory();
  const auto made = now(directory->create(wanted("demo.Counter/1", 0xfedc'ba98'7654'3210, NodeId{7}))).value();
  EXPECT_EQ(made.id, kFirstDynamicObject);
  const auto found = now(directory->lookup(made.id)).value();
  EXPECT_EQ(found.interface_name, "demo.Counter/1");
  EXPECT_EQ(found.interface_id, 0xfedc'ba98'7654'3210);
  EXPECT_EQ(found.home, NodeId{7});
}

TEST_F(SqliteDirectory, DoesNotFindWhatWasRemovedOrNeverEntered) {
  const auto directory = in_memory();
  const auto made = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  ASSERT_TRUE(now(directory->remove(made.id)));
  EXPECT_EQ(now(directory->lookup(made.id)).code(), Errc::no_such_object);
  EXPECT_EQ(now(directory->remove(made.id)).code(), Errc::no_such_object);
  EXPECT_EQ(now(directory->lookup(ObjectId(9999))).code(), Errc::no_such_object);
}

TEST_F(SqliteDirectory, NeverGivesAnIdTwice) {
  const auto directory = in_memory();
  const auto first = now(directory->create(wanted("a", 1, NodeId{0}))).value();
  ASSERT_TRUE(now(directory->remove(first.id)));
  EXPECT_GT(now(directory->create(wanted("a", 1, NodeId{0}))).value().id, first.id);
}

TEST_F(SqliteDirectory, NeverGivesAnIdTwiceAcrossARestart) {
  ObjectId last, kept;
  {
    const auto directory = open_sqlite_directory(file_).value();
    kept = now(directory->create(wanted("kept", 1, NodeId{0}))).value().id;
    last = now(directory->create(wanted("a", 1, NodeId{0}))).value().id;
    ASSERT_TRUE(now(directory->remove(last)));
  }
  const auto directory = open_sqlite_directory(file_).value();
  EXPECT_GT(now(directory->create(wanted("a", 1, NodeId{0}))).value().id, last);
  EXPECT_EQ(now(directory->lookup(kept)).value().interface_name, "kept");
}

TEST_F(SqliteDirectory, EndsWhenAllIdsAreGivenOut) {
  const auto directory = in_memory(kFirstDynamicObject.index() + 2);
  EXPECT_TRUE(now(directory->create(wanted("a", 1, NodeId{0}))));
  EXPECT_TRUE(now(directory->create(wanted("a", 1, NodeId{0}))));
  EXPECT_EQ(now(directory->create(wanted("a", 1, NodeId{0}))).code(), Errc::resource_exhausted);
}

TEST_F(SqliteDirectory, ListsInTheOrderOfIdsAndWithinTheLimit) {
  const auto directory = in_memory();
  for (std::uint32_t i = 0; i < Directory::kMaxListed + 5; ++i) ASSERT_TRUE(now(directory->create(wanted("a", i, NodeId{0}))));
  EXPECT_EQ(now(directory->list(ObjectId(0), 1'000'000)).value().size(), Directory::kMaxListed);
  const auto page = now(directory->list(ObjectId(1030), 2)).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].id, ObjectId(1031));
  EXPECT_EQ(page[1].interface_id, 8u);
}

TEST_F(SqliteDirectory, BoundsTheInterfaceName) {
  const auto directory = in_memory();
  EXPECT_TRUE(now(directory->create(wanted(std::string(kMaxInterfaceNameBytes, 'a'), 1, NodeId{0}))));
  EXPECT_EQ(now(directory->create(wanted(std::string(kMaxInterfaceNameBytes + 1, 'a'), 1, NodeId{0}))).code(),
            Errc::invalid_argument);
}

TEST_F(SqliteDirectory, KeepsNamesThatLookLikeStatements) {
  const auto directory = in_memory();
  const std::string name("'); DROP TABLE objects; --\0x", 28);
  const auto made = now(directory->create(wanted(name, 1, NodeId{0}))).value();
  EXPECT_EQ(now(directory->lookup(made.id)).value().interface_name, name);
}

TEST_F(SqliteDirectory, RefusesAFileThatAnotherDirectoryHasOpen) {
  const auto first = open_sqlite_directory(file_).value();
  EXPECT_EQ(open_sqlite_directory(file_).code(), Errc::address_in_use);
}

TEST_F(SqliteDirectory, RefusesAFileOfSomethingElse) {
  std::ofstream(file_) << std::string(4096, 'x');
  EXPECT_EQ(open_sqlite_directory(file_).code(), Errc::malformed);
}

TEST_F(SqliteDirectory, SaysWhenItsFileCannotBeMade) {
  const auto opened = open_sqlite_directory("/nowhere/at/all");
  ASSERT_EQ(opened.code(), Errc::not_found);
  EXPECT_THAT(opened.error().text(), testing::HasSubstr("/nowhere/at/all"));
}

TEST_F(SqliteDirectory, IsUsedByThreadsAtOnce) {
  const auto directory = in_memory();
  auto enter = [&] {
    for (int i = 0; i < 500; ++i) now(directory->create(wanted("a", 1, NodeId{0}))).value();
  };
  std::thread other(enter);
  enter();
  other.join();
  EXPECT_EQ(now(directory->list(ObjectId(0), 1024)).value().size(), 1000u);
}

}  // namespace
}  // namespace ebb::frontend::directory
