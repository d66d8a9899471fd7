# ebb_add_application(NAME SOURCES a.cc ... [LIBRARIES x ...] [IMAGE_LIBRARIES y ...]): builds NAME, the application as a
# Linux program (front end and process nodes), and beside it NAME.elf, the same sources as a bare-metal image (target
# NAME-image), unless EBB_BARE_METAL is off. One of the sources defines ebb_main(). LIBRARIES belong to the Linux program,
# IMAGE_LIBRARIES to the image.
function(ebb_add_application name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES;IMAGE_LIBRARIES" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "ebb_add_application(${name} SOURCES file ...): got '${ARGN}'")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE multilibos::frontend ${arg_LIBRARIES})
  if(TARGET multilibos::bare)
    ebb_add_image(${name}-image SOURCES ${arg_SOURCES} LIBRARIES ${arg_IMAGE_LIBRARIES} OUTPUT ${name})
    add_dependencies(${name} ${name}-image)
  endif()
endfunction()
