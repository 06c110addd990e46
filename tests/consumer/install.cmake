# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# cmake -D BINARY_DIR=<built vrfm> -D PREFIX=<new prefix> -P install.cmake
# Installs into an empty prefix and fails if a machine's properties got into the exported targets.
file(REMOVE_RECURSE "${PREFIX}")
execute_process(COMMAND ${CMAKE_COMMAND} --install "${BINARY_DIR}" --prefix "${PREFIX}"
  COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)

file(GLOB exported "${PREFIX}/share/cmake/vrfm/*-targets*.cmake")
if(NOT exported)
  message(FATAL_ERROR "no exported targets in ${PREFIX}/share/cmake/vrfm")
endif()
foreach(file IN LISTS exported)
  file(STRINGS "${file}" lines REGEX "INTERFACE_COMPILE_OPTIONS|-march|-W[a-z]|vrfm_program|${BINARY_DIR}")
  if(lines)
    message(FATAL_ERROR "${file} exports what belongs to this build alone: ${lines}")
  endif()
endforeach()
