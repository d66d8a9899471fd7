#include "frontend/program/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ebb::frontend {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Options> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, LeaveTheApplicationsArgumentsToIt) {
  const auto options = parse({"a", "--ebb-backends=3", "--json", "--", "--ebb-backends=9"}).value();
  EXPECT_THAT(options.arguments, ElementsAre("program", "a", "--json", "--", "--ebb-backends=9"));
  EXPECT_EQ(options.cluster.backends, 3u);
}

TEST(Options, TakeEachValue) {
  const auto options = parse({"--ebb-cores=4", "--ebb-driver=libvirt", "--ebb-image=/i", "--ebb-memory=64",
                              "--ebb-frontend-cores=1", "--ebb-drain=0", "--ebb-grpc=127.0.0.1:1", "--ebb-directory=/d", "--ebb-uri=u",
                              "--ebb-quiet", "--ebb-help"}).value();
  EXPECT_EQ(options.cluster.cores, 4);
  EXPECT_EQ(options.cluster.driver, "libvirt");
  EXPECT_EQ(options.image, "/i");
  EXPECT_EQ(options.memory_mib, 64u);
  EXPECT_EQ(options.frontend_cores, 1u);
  EXPECT_EQ(options.drain_seconds, 0u);
  EXPECT_EQ(options.grpc, "127.0.0.1:1");
  EXPECT_EQ(options.directory, "/d");
  EXPECT_EQ(options.uri, "u");
  EXPECT_TRUE(options.quiet);
  EXPECT_TRUE(options.help);
}

TEST(Options, NameWhatIsWrong) {
  for (const char* argument : {"--ebb-cores=0", "--ebb-cores=65", "--ebb-cores=2x", "--ebb-cores", "--ebb-backends=-1",
                               "--ebb-backends=1024", "--ebb-driver=docker", "--ebb-image=", "--ebb-memory=1",
                               "--ebb-grpc=127.0.0.1", "--ebb-grpc=127.0.0.1:0", "--ebb-grpc=127.0.0.1:99999", "--ebb-grpc=:50051",
                               "--ebb-grpc=::1:50051", "--ebb-grpc=unix:", "--ebb-grpc=x y:1", "--ebb-grpc=a:1x",
                               "--ebb-otlp=http://127.0.0.1:4317", "--ebb-otlp=collector",
                               "--ebb-quiet=1", "--ebb-drain=601", "--ebb-colour", "--ebb-"}) {
    const auto options = parse({argument});
    ASSERT_EQ(options.code(), Errc::invalid_argument) << argument;
    EXPECT_THAT(options.error().text(), HasSubstr(argument));
  }
}

TEST(Options, TakeAddressesOfEveryKind) {
  for (const char* address : {"127.0.0.1:1", "localhost:65535", "[::1]:50051", "unix:/run/x.sock"}) {
    EXPECT_EQ(parse({(std::string("--ebb-grpc=") + address).c_str()}).value().grpc, address);
    EXPECT_EQ(parse({(std::string("--ebb-otlp=") + address).c_str()}).value().otlp, address);
  }
}

TEST(Options, TellANodeFromAFrontEnd) {
  const char* node[] = {"program", "--ebb-node=1", "--ebb-role=node"};
  const char* front_end[] = {"program", "--", "--ebb-role=node"};
  EXPECT_TRUE(is_node(3, node));
  EXPECT_FALSE(is_node(3, front_end));
}

}  // namespace
}  // namespace ebb::frontend
