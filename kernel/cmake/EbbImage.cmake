# Linking bare-metal images: one static ELF of application, runtime, kernel and the distribution's C and C++ libraries.

# ebb_add_image(NAME SOURCES a.cc ... [LIBRARIES x ...]): builds NAME.elf in the current binary folder; target NAME.
function(ebb_add_image name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  foreach(file crt1.o crti.o crtbegin.o crtend.o crtn.o)
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${file} OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(${file} ${path})
  endforeach()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES SUFFIX .elf POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fno-pie -ffunction-sections -fdata-sections)
  # crtbegin.o instead of -static's crtbeginT.o: exceptions are then found through .eh_frame_hdr, without a global lock.
  target_link_options(${name} PRIVATE -static -no-pie -nostartfiles ${crt1.o} ${crti.o} ${crtbegin.o}
    -Wl,-u,pvh_entry -Wl,--gc-sections -Wl,--eh-frame-hdr -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,--build-id=none
    -Wl,-z,max-page-size=4096)
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} multilibos::kernel ${crtend.o} ${crtn.o})
endfunction()
