// The gRPC service over a real socket, with a cluster made of values.
#include "frontend/service/server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "multilibos/v1/cluster.grpc.pb.h"
#include "multilibos/v1/observe.grpc.pb.h"

namespace ebb::frontend::service {
namespace {

namespace proto = ::multilibos::v1;

class FakeCluster final : public ClusterControl {
 public:
  Result<Membership> membership() override {
    return Membership{{{kFrontEndNode, "frontend", 2, "127.0.0.1:7001", 0, 0}}, 1};
  }
  Result<std::vector<NodeInfo>> add_nodes(std::uint32_t count) override {
    if (count > 2) return Error(Errc::resource_exhausted, "no memory");
    std::vector<NodeInfo> nodes(count);
    for (std::uint32_t i = 0; i < count; ++i) nodes[i].id = NodeId{i + 1};
    return nodes;
  }
  Result<void> remove_node(NodeId node) override {
    return Error(Errc::not_found, "no node " + std::to_string(to_number(node)));
  }
  Result<std::vector<ObjectInfo>> objects(ObjectId after, std::uint32_t limit) override {
    std::vector<ObjectInfo> found;
    for (std::uint32_t id = std::max(after.index() + 1, 1024u); id < 1029 && found.size() < limit; ++id) {
      found.push_back({ObjectId(id), "demo.Counter/1", "total", NodeId{2}, "single_home", CoreIndex{3}, 4, ObjectInfo::State::lost});
    }
    return found;
  }
  Result<NodeObjectsList> object_counts() override {
    return NodeObjectsList{{{NodeId{2}, 1, 2, 3, 4, 5, 6, 7.5, 8}}, {NodeId{7}, NodeId{9}}};
  }
};

class FakeObservation final : public ObserveControl {
 public:
  bool keeps_traces = true;
  std::vector<MethodInfo> told{{"demo.Counter/1", "add", 1, 2, 3, 4, 5, 6, 7, 8}};

  Result<TraceList> traces(std::uint32_t limit) override {
    if (!keeps_traces) return TraceList{{}, 3, {}, 0};
    return TraceList{{{{1, 2}, "demo.Counter/1.add", 5, 7, limit, 1}}, 3, {NodeId{8}}, 24'000};
  }
  Result<Trace> trace(const std::string& id) override {
    if (id == "c1") return Trace{circle(), {NodeId{7}}};
    return Error(Errc::not_found, "no trace " + id);
  }
  Result<MethodList> methods() override { return MethodList{told, {NodeId{9}}}; }
  Result<void> sample(std::uint32_t) override { return {}; }

 private:
  /// A root, and two spans that name each other as their parents.
  static std::vector<SpanInfo> circle() {
    std::vector<SpanInfo> spans(3);
    for (std::uint64_t at = 0; at < spans.size(); ++at) {
      spans[at].span = at + 1;
      spans[at].name = "span" + std::to_string(at);
    }
    spans[1].parent = 3;
    spans[2].parent = 2;
    return spans;
  }
};

class ServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = start_server({address_}, cluster_, observation_, feed_);
    ASSERT_TRUE(started) << started.error().to_string();
    server_ = std::move(*started);
    stub_ = proto::Cluster::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }
  void TearDown() override { std::filesystem::remove(address_.substr(5)); }

  const std::string address_ = "unix:" + testing::TempDir() + "service-" + std::to_string(::getpid()) + ".sock";
  FakeCluster cluster_;
  FakeObservation observation_;
  MembershipFeed feed_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<proto::Cluster::Stub> stub_;
  grpc::ClientContext context_;
};

TEST_F(ServiceTest, TellsOfTracesAndMethods) {
  const auto observe = proto::Observe::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  proto::ListTracesResponse traces;
  ASSERT_TRUE(observe->ListTraces(&context_, {}, &traces).ok());
  ASSERT_EQ(traces.traces_size(), 1);
  EXPECT_EQ(traces.traces(0).id(), "00000000000000010000000000000002");
  EXPECT_EQ(traces.traces(0).spans(), 1000u) << "no limit asks for as many as the server allows";
  EXPECT_EQ(traces.dropped_spans(), 3u);
  EXPECT_EQ(traces.more_traces(), 24'000u);
  ASSERT_EQ(traces.silent_nodes_size(), 1);
  EXPECT_EQ(traces.silent_nodes(0), 8u);
  grpc::ClientContext second, third, fourth;
  proto::GetTraceResponse trace;
  EXPECT_EQ(observe->GetTrace(&second, {}, &trace).error_code(), grpc::StatusCode::NOT_FOUND);
  proto::ListMethodsResponse methods;
  ASSERT_TRUE(observe->ListMethods(&third, {}, &methods).ok());
  EXPECT_EQ(methods.methods(0).p999_nanos(), 7u);
  EXPECT_EQ(methods.silent_nodes(0), 9u);
  proto::SetSamplingRequest rate;
  rate.set_per_million(1'000'001);
  proto::SetSamplingResponse set;
  EXPECT_EQ(observe->SetSampling(&fourth, rate, &set).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, ListsNodes) {
  proto::ListNodesResponse response;
  ASSERT_TRUE(stub_->ListNodes(&context_, {}, &response).ok());
  ASSERT_EQ(response.nodes_size(), 1);
  EXPECT_EQ(response.nodes(0).endpoint(), "127.0.0.1:7001");
}

TEST_F(ServiceTest, RefusesToAddNoNodes) {
  proto::AddNodesResponse response;
  EXPECT_EQ(stub_->AddNodes(&context_, {}, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, PassesAnErrorOnWithItsText) {
  proto::AddNodesRequest request;
  request.set_count(3);
  proto::AddNodesResponse response;
  const auto status = stub_->AddNodes(&context_, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "no memory");
}

TEST_F(ServiceTest, RefusesToRemoveTheFrontEnd) {
  proto::RemoveNodeResponse response;
  EXPECT_EQ(stub_->RemoveNode(&context_, {}, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, SaysWhenThereAreMoreObjects) {
  proto::ListObjectsRequest request;
  request.set_limit(3);
  proto::ListObjectsResponse response;
  ASSERT_TRUE(stub_->ListObjects(&context_, request, &response).ok());
  EXPECT_EQ(response.objects_size(), 3);
  EXPECT_TRUE(response.more());
  EXPECT_EQ(response.nodes_size(), 1);
  EXPECT_EQ(std::vector<std::uint32_t>(response.silent_nodes().begin(), response.silent_nodes().end()), (std::vector<std::uint32_t>{7, 9}));
  request.set_after_id(response.objects(2).id());
  ASSERT_TRUE(stub_->ListObjects(std::make_unique<grpc::ClientContext>().get(), request, &response).ok());
  EXPECT_EQ(response.objects_size(), 2);
  EXPECT_FALSE(response.more());
  EXPECT_EQ(response.nodes_size(), 0) << "counted again";
  EXPECT_EQ(response.silent_nodes_size(), 0);
}

TEST_F(ServiceTest, StreamsMembersAndThenChangesUntilTheFrontEndEnds) {
  auto reader = stub_->WatchMembership(&context_, {});
  proto::MembershipEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.kind(), proto::MembershipEvent::KIND_JOINED);
  feed_.publish({false, {NodeId{3}, "process", 1, "", 0, 0}, "killed by signal 9", 2});
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.kind(), proto::MembershipEvent::KIND_GONE);
  EXPECT_EQ(event.reason(), "killed by signal 9");
  server_.reset();
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

std::string output_of(const std::string& command) {
  std::string text;
  if (FILE* pipe = ::popen(command.c_str(), "r"); pipe != nullptr) {
    std::array<char, 256> buffer;
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) text += buffer.data();
    ::pclose(pipe);
  }
  return text;
}

TEST_F(ServiceTest, IsWhatTheCommandAsks) {
  EXPECT_EQ(output_of(EBB_COMMAND " nodes --json --frontend " + address_),
            R"({"epoch":1,"nodes":[{"cores":2,"driver":"frontend","endpoint":"127.0.0.1:7001","id":0,)"
            R"("join_seconds":0.0,"launch_seconds":0.0}]})" "\n");
  const std::string objects = output_of(EBB_COMMAND " objects --json --frontend " + address_);
  EXPECT_NE(objects.find(
            R"("nodes":[{"asked":5,"failed":6,"found":4,"known":1,"longest_nanos":8,"mean_nanos":7.5,"misses":3,"node":2,)"
            R"("representatives":2}])"), std::string::npos) << objects;
  EXPECT_NE(objects.find(R"({"epoch":4,"home":2,"home_core":3,"id":1028,"interface":"demo.Counter/1","kind":"single_home",)"
                         R"("name":"total","state":"lost"})"), std::string::npos) << objects;
  EXPECT_NE(output_of(EBB_COMMAND " objects --frontend " + address_).find("single_home       2.3      4  lost     demo.Counter/1"),
            std::string::npos);
}

TEST_F(ServiceTest, HasTheCommandNameNodesThatDidNotAnswer) {
  for (const std::string format : {"", "--json"}) {
    EXPECT_EQ(output_of(EBB_COMMAND " objects " + format + " --frontend " + address_ + " 2>&1 >/dev/null"),
              "ebb: node 7 did not answer\nebb: node 9 did not answer\n");
    EXPECT_EQ(output_of(EBB_COMMAND " methods " + format + " --frontend " + address_ + " 2>&1 >/dev/null"),
              "ebb: node 9 did not answer\n");
    EXPECT_EQ(output_of(EBB_COMMAND " trace " + format + " --frontend " + address_ + " 2>&1 >/dev/null"),
              "ebb: node 8 did not answer\n");
    EXPECT_EQ(output_of(EBB_COMMAND " trace c1 " + format + " --frontend " + address_ + " 2>&1 >/dev/null"),
              "ebb: node 7 did not answer\n");
  }
  EXPECT_NE(output_of(EBB_COMMAND " objects --json --frontend " + address_ + " 2>&1").find(R"("silent_nodes":[7,9])"), std::string::npos);
  EXPECT_EQ(output_of(EBB_COMMAND " objects --frontend " + address_ + " >/dev/null 2>&1; echo $?"), "0\n");
}

TEST_F(ServiceTest, HasTheCommandShowDurationsWithThreeDigits) {
  observation_.told = {{"t", "short", 1, 0, 0, 999, 1'000, 9'994, 9'996, 99'960},
                       {"t", "long", 1, 0, 999'400, 999'600, 1'000'000, 12'345'678, 999'600'000, 1'230'400'000'000}};
  const std::string table = output_of(EBB_COMMAND " methods --frontend " + address_ + " 2>/dev/null");
  EXPECT_NE(table.find("      0 ns    999 ns   1.00 us   9.99 us   10.0 us    100 us\n"), std::string::npos) << table;
  EXPECT_NE(table.find("    999 us   1.00 ms   1.00 ms   12.3 ms    1.00 s    1230 s\n"), std::string::npos) << table;
}

TEST_F(ServiceTest, HasTheCommandSayThatSpansWereDroppedThoughNoTraceIsKept) {
  const std::string command = EBB_COMMAND " trace --frontend " + address_;
  EXPECT_NE(output_of(command).find("\n3 spans were dropped\n"), std::string::npos);
  observation_.keeps_traces = false;
  const std::string said = output_of(command);
  EXPECT_NE(said.find("no trace is kept"), std::string::npos) << said;
  EXPECT_NE(said.find("\n3 spans were dropped\n"), std::string::npos) << said;
}

TEST_F(ServiceTest, HasTheCommandSayHowManyTracesItDoesNotList) {
  const std::string command = EBB_COMMAND " trace --frontend " + address_;
  EXPECT_NE(output_of(command).find("\n24000 older traces are kept too"), std::string::npos);
  EXPECT_NE(output_of(command + " --json").find(R"("more_traces":24000,)"), std::string::npos);
  observation_.keeps_traces = false;
  EXPECT_EQ(output_of(command).find("older traces"), std::string::npos);
}

TEST_F(ServiceTest, HasTheCommandShowEachSpanOnce) {
  const std::string tree = output_of(EBB_COMMAND " trace c1 --frontend " + address_);
  for (const char* line : {"\ndoes span0 ", "\ndoes span1 ", "\n  does span2 "}) {
    EXPECT_NE(tree.find(line), std::string::npos) << line << "\n" << tree;
  }
  EXPECT_EQ(std::count(tree.begin(), tree.end(), '\n'), 4) << tree;
}

TEST(Service, NamesAPortThatIsInUse) {
  FakeCluster cluster;
  FakeObservation observation;
  MembershipFeed feed;
  const std::string port = "127.0.0.1:" + std::to_string(20000 + ::getpid() % 10000);
  auto first = start_server({port}, cluster, observation, feed);
  ASSERT_TRUE(first);
  auto second = start_server({port}, cluster, observation, feed);
  ASSERT_EQ(second.code(), Errc::address_in_use);
  EXPECT_NE(second.error().text().find(port), std::string::npos);
}

TEST(MembershipFeed, EndsAWatcherThatFallsBehind) {
  MembershipFeed feed;
  auto watcher = feed.watch();
  ASSERT_TRUE(watcher);
  for (std::size_t i = 0; i <= MembershipFeed::kMaxWaiting; ++i) feed.publish({});
  MembershipChange change;
  EXPECT_EQ((*watcher)->next(change), MembershipFeed::Watcher::State::fell_behind);
}

TEST(MembershipFeed, BoundsItsWatchers) {
  MembershipFeed feed;
  std::vector<std::unique_ptr<MembershipFeed::Watcher>> watchers;
  for (std::size_t i = 0; i < MembershipFeed::kMaxWatchers; ++i) watchers.push_back(std::move(feed.watch()).value());
  EXPECT_EQ(feed.watch().code(), Errc::overloaded);
}

}  // namespace
}  // namespace ebb::frontend::service
