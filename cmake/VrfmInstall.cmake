# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Installs the headers and the package configuration. Each component has its own export set, so
# that find_package(vrfm) needs only the dependencies of the components that it asks for.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package "${CMAKE_INSTALL_DATADIR}/cmake/vrfm")
if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.23)
  install(TARGETS vrfm EXPORT vrfm-targets FILE_SET HEADERS)
else()
  install(TARGETS vrfm EXPORT vrfm-targets)
  install(DIRECTORY "${vrfm_INCLUDE_DIR}/vrfm" TYPE INCLUDE FILES_MATCHING PATTERN "*.hpp")
endif()
# Exported from the build as well: a project above that does so with a target that links vrfm could not
# be generated otherwise.
set(exports "${PROJECT_BINARY_DIR}/exports")
install(EXPORT vrfm-targets NAMESPACE vrfm:: DESTINATION "${package}")
export(EXPORT vrfm-targets NAMESPACE vrfm:: FILE "${exports}/vrfm-targets.cmake")
get_property(components GLOBAL PROPERTY VRFM_COMPONENTS)
foreach(component IN LISTS components)
  install(TARGETS vrfm_${component} EXPORT vrfm-${component}-targets)
  install(EXPORT vrfm-${component}-targets NAMESPACE vrfm:: DESTINATION "${package}")
  export(EXPORT vrfm-${component}-targets NAMESPACE vrfm:: FILE "${exports}/vrfm-${component}-targets.cmake")
endforeach()

configure_package_config_file(cmake/vrfm-config.cmake.in "${PROJECT_BINARY_DIR}/vrfm-config.cmake"
  INSTALL_DESTINATION "${package}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/vrfm-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/vrfm-config.cmake" "${PROJECT_BINARY_DIR}/vrfm-config-version.cmake"
  cmake/VrfmRepairKokkos.cmake cmake/VrfmCublasLt.cmake
  cmake/VrfmFindLibrary.cmake DESTINATION "${package}")
install(FILES LICENSE TYPE DOC)
