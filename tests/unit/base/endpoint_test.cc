#include <gtest/gtest.h>

#include "ebb/platform/stream.h"

namespace {

using ebb::platform::Endpoint;
using ebb::platform::parse_endpoint;

TEST(Endpoint, SurvivesTextAndBack) {
  const Endpoint endpoint{0x0a580001, 7001};
  EXPECT_EQ(to_string(endpoint), "10.88.0.1:7001");
  EXPECT_EQ(parse_endpoint("10.88.0.1:7001"), endpoint);
  EXPECT_EQ(parse_endpoint("255.255.255.255:65535"), (Endpoint{0xffffffff, 65535}));
}

TEST(Endpoint, RefusesWhatIsNotAnAddressAndAPort) {
  for (const char* text : {"", "10.0.0.1", "10.0.0.1:", "10.0.0:1", "10.0.0.256:1", "10.0.0.1:65536", "10.0.0.1:1 ",
                           "10.0.0.1:-1", "a.b.c.d:1", "10..0.1:1", "10.0.0.1.2:1", ":1", "10.0.0.1:99999999999"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

}  // namespace
