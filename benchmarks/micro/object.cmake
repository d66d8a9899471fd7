# Portable: what reaching an object costs, beside what it is measured against.
find_package(benchmark REQUIRED)
add_executable(object_benchmark object_benchmark.cc)
target_link_libraries(object_benchmark PRIVATE multilibos::hosted benchmark::benchmark)
if(EBB_TESTS)
  add_test(NAME object_benchmark_smoke COMMAND object_benchmark --benchmark_min_time=0.001)
  set_tests_properties(object_benchmark_smoke PROPERTIES LABELS unit TIMEOUT 60)
endif()
