# async_benchmark.cc and async_stream_benchmark.cc are portable; the peers exist on Linux only.
find_package(benchmark REQUIRED)
add_executable(async_benchmark async_benchmark.cc async_peers.cc async_stream_benchmark.cc)
target_link_libraries(async_benchmark PRIVATE multilibos::hosted benchmark::benchmark)
if(EBB_TESTS)
  add_test(NAME async_benchmark_smoke COMMAND async_benchmark --benchmark_min_time=0.001)
  set_tests_properties(async_benchmark_smoke PROPERTIES LABELS unit TIMEOUT 60)
endif()
