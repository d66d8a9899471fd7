# Linking bare-metal images: one static ELF of application, runtime, kernel and the distribution's C and C++ libraries.
# For the table of functions; without it CMake leaves an assembler file out, and says nothing.
enable_language(ASM)
# Internal cache entries are seen from every folder.
set(EBB_PYTHON ${Python3_EXECUTABLE} CACHE INTERNAL "")
set(EBB_SYMBOL_TABLE ${CMAKE_CURRENT_LIST_DIR}/symbol_table.py CACHE INTERNAL "")

# What all code of an image is compiled with. Without -fno-tree-slp-vectorize gcc 12 pairs a coroutine's two function
# addresses in a mergeable constant that refers into a section which the linker drops when two files hold the coroutine.
set(EBB_IMAGE_OPTIONS -fno-pie -ffunction-sections -fdata-sections $<$<CXX_COMPILER_ID:GNU>:-fno-tree-slp-vectorize>
  CACHE INTERNAL "")

# Each start file by its place in the distribution's compiler. crtbegin.o instead of -static's crtbeginT.o: exceptions
# are then found through .eh_frame_hdr, without a global lock.
foreach(file crt1 crti crtbegin crtend crtn)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${file}.o
    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(EBB_${file} ${path} CACHE INTERNAL "")
endforeach()

function(ebb_link_image target output)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} SUFFIX .elf POSITION_INDEPENDENT_CODE OFF)
  target_link_options(${target} PRIVATE -static -no-pie -nostartfiles ${EBB_crt1} ${EBB_crti} ${EBB_crtbegin}
    -Wl,-u,pvh_entry -Wl,--gc-sections -Wl,--eh-frame-hdr -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,--build-id=none
    -Wl,-z,max-page-size=4096)
  target_link_libraries(${target} PRIVATE ${EBB_crtend} ${EBB_crtn})
endfunction()

# ebb_add_image(NAME SOURCES a.cc ... [LIBRARIES x ...] [OUTPUT file]): builds NAME.elf (or file.elf) in the current
# binary folder; target NAME. Without a main() of its own the program is a node of a cluster. The image is linked twice:
# the second time with a table of its functions, for the report of a fault.
function(ebb_add_image name)
  cmake_parse_arguments(arg "" "OUTPUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT ${name})
  endif()
  set(objects ${name}-objects)
  add_library(${objects} OBJECT ${arg_SOURCES})
  target_compile_options(${objects} PRIVATE ${EBB_IMAGE_OPTIONS})
  target_link_libraries(${objects} PRIVATE ${arg_LIBRARIES} multilibos::bare)
  set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE OFF)

  set(libraries ${arg_LIBRARIES} multilibos::bare)
  add_executable(${name}-unnamed)
  target_link_libraries(${name}-unnamed PRIVATE ${objects} ${libraries})
  ebb_link_image(${name}-unnamed ${name}-unnamed)

  set(symbols ${CMAKE_CURRENT_BINARY_DIR}/${name}-symbols.S)
  add_custom_command(OUTPUT ${symbols}
    COMMAND ${EBB_PYTHON} ${EBB_SYMBOL_TABLE} ${CMAKE_NM} $<TARGET_FILE:${name}-unnamed> ${symbols}
    DEPENDS ${name}-unnamed ${EBB_SYMBOL_TABLE} VERBATIM)
  add_executable(${name} ${symbols})
  target_link_libraries(${name} PRIVATE ${objects} ${libraries})
  ebb_link_image(${name} ${arg_OUTPUT})
endfunction()
