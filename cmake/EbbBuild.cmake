# Compiler settings and the helper functions that the whole tree shares.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1")

find_program(EBB_CCACHE ccache)
if(EBB_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EBB_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${EBB_CCACHE})
endif()

# Warnings are errors in our own code; include/ is the root of all public headers, the tree's root of private ones.
add_library(ebb_settings INTERFACE)
target_include_directories(ebb_settings INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
target_compile_options(ebb_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough -Werror
  # gcc 12 reports false positives of these two through inlined standard containers and coroutines.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-stringop-overflow>
  # clang 14 knows C++20 coroutines but not yet the macro libstdc++ asks for.
  $<$<CXX_COMPILER_ID:Clang>:-D__cpp_impl_coroutine=201902L -Wno-builtin-macro-redefined -Wno-macro-redefined>)

# What applications are compiled with, whatever they optimise: g++ makes the tail calls of coroutines only when told, or from
# -O2 on, and without them a loop that awaits what is ready at once runs out of stack.
set(EBB_COROUTINE_OPTIONS $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-foptimize-sibling-calls>)

# Linux only: sanitizers as asked for.
add_library(ebb_hosted_settings INTERFACE)
target_link_libraries(ebb_hosted_settings INTERFACE ebb_settings)
if(EBB_SANITIZE)
  target_compile_options(ebb_hosted_settings INTERFACE
    -fsanitize=${EBB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    # clang 14 cannot assemble coroutines under it.
    $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>)
  target_link_options(ebb_hosted_settings INTERFACE -fsanitize=${EBB_SANITIZE})
endif()

# ebb_add_unit_test(NAME SOURCES a.cc ... [LIBRARIES x ...]): a GoogleTest program run on Linux, label "unit".
function(ebb_add_unit_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT EBB_TESTS)
    return()
  endif()
  find_package(GTest REQUIRED)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(EBB_SANITIZE)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 5")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ebb_hosted_settings ${arg_LIBRARIES} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT ${arg_TIMEOUT})
endfunction()

# ebb_add_subfolders(): every subfolder of the calling one that has a CMakeLists.txt takes part.
macro(ebb_add_subfolders)
  file(GLOB ebb_parts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(ebb_part ${ebb_parts})
    get_filename_component(ebb_folder ${ebb_part} DIRECTORY)
    add_subdirectory(${ebb_folder})
  endforeach()
endmacro()
