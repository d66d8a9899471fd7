# What `cmake --install` puts under the prefix: headers, libraries, the command `ebb`, and the CMake package multilibos.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(EBB_SANITIZE)
  install(CODE "message(FATAL_ERROR \"a build with EBB_SANITIZE is not for installing: its libraries need the \
sanitizer in every program; configure a build folder without it\")")
  return()
endif()

set(ebb_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/multilibos)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ebb DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ebb_install_libraries(TARGET ...): exported without the prefix of their file names, as multilibos::hosted and so on.
function(ebb_install_libraries)
  foreach(target ${ARGN})
    string(REGEX REPLACE "^multilibos_" "" short ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${short})
    install(TARGETS ${target} EXPORT multilibosTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
      INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endforeach()
endfunction()

ebb_install_libraries(multilibos_hosted)
if(EBB_FRONTEND)
  ebb_install_libraries(multilibos_nodes multilibos_directory multilibos_cluster_proto multilibos_service
    multilibos_otlp_proto multilibos_otlp multilibos_cluster multilibos_observe multilibos_frontend)
  install(TARGETS ebb RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/frontend/proto DESTINATION ${CMAKE_INSTALL_DATADIR}/multilibos
    FILES_MATCHING PATTERN "*.proto")
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/deploy/prepare-host DESTINATION ${CMAKE_INSTALL_DATADIR}/multilibos)
endif()
if(EBB_BARE_METAL)
  ebb_install_libraries(multilibos_kernel multilibos_bare)
  install(FILES ${PROJECT_SOURCE_DIR}/kernel/cmake/EbbImage.cmake DESTINATION ${ebb_package_folder})
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/kernel/cmake/symbol_table.py DESTINATION ${ebb_package_folder})
endif()
install(EXPORT multilibosTargets NAMESPACE multilibos:: DESTINATION ${ebb_package_folder})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/multilibosConfig.cmake.in
  ${PROJECT_BINARY_DIR}/multilibosConfig.cmake INSTALL_DESTINATION ${ebb_package_folder}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/multilibosConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/multilibosConfig.cmake ${PROJECT_BINARY_DIR}/multilibosConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/EbbDependencies.cmake ${PROJECT_SOURCE_DIR}/cmake/EbbApplication.cmake
  DESTINATION ${ebb_package_folder})
