#include "tests/conformance/directory/conformance.h"

namespace ebb::conformance {

INSTANTIATE_TEST_SUITE_P(Memory, DirectoryConformance, testing::Values(DirectoryFactory(&make_memory_directory)));

}  // namespace ebb::conformance
