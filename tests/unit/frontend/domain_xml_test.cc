// What is written about a node: escaped, without its secret, and readable back.
#include "frontend/nodes/libvirt/domain_xml.h"

#include <gtest/gtest.h>

namespace ebb::frontend::nodes {
namespace {

TEST(DomainXml, EscapesWhatTheUserChose) {
  NodeSpec spec;
  spec.id = NodeId{3};
  spec.image = "/a'b<c>&\".elf";
  const auto xml = domain_xml(spec, {"n", "net", false, "/k", {}});
  EXPECT_NE(xml.find("<kernel>/a&apos;b&lt;c&gt;&amp;&quot;.elf</kernel>"), std::string::npos);
}

TEST(DomainXml, GivesOneQueuePairPerCoreUpToTwoOnBusZero) {
  NodeSpec spec;
  spec.id = NodeId{3};
  spec.cores = 1;
  EXPECT_NE(domain_xml(spec, {"n", "net", false, "/k", {}}).find("<driver queues='1'/>"), std::string::npos);
  spec.cores = 2;
  EXPECT_NE(domain_xml(spec, {"n", "net", false, "/k", {}}).find("<driver queues='2'/>"), std::string::npos);
  spec.cores = 4;
  const auto xml = domain_xml(spec, {"n", "net", false, "/k", {}});
  EXPECT_NE(xml.find("<driver queues='2'/>"), std::string::npos);
  EXPECT_NE(xml.find("<vcpu>4</vcpu>"), std::string::npos);
  EXPECT_NE(xml.find("bus='0'"), std::string::npos);
  EXPECT_NE(xml.find("<domain type='qemu'>"), std::string::npos);
}

TEST(OwnerTag, SurvivesTheWayThroughLibvirt) {
  const OwnerTag owner{42, 777, "boot<1>", "/run/it's & more"};
  const auto parsed = parse_owner_xml(owner_xml(owner));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, owner);
}

TEST(OwnerTag, WithoutAProcessIsMalformed) {
  EXPECT_EQ(parse_owner_xml("<owner pid='x' start-time='1' boot-id='' key-file=''/>").code(), Errc::malformed);
}

TEST(OwnerTag, TellsThisProcessFromOneThatHadItsIdBefore) {
  OwnerTag owner = current_owner();
  EXPECT_TRUE(is_alive(owner));
  ++owner.start_time;
  EXPECT_FALSE(is_alive(owner));
}

}  // namespace
}  // namespace ebb::frontend::nodes
