# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Stands for a packaged Kokkos whose main target names an include folder that does not exist.
include("${WORKING_KOKKOS}/KokkosConfig.cmake")
get_target_property(Kokkos_INCLUDE_DIRS Kokkos::kokkos INTERFACE_INCLUDE_DIRECTORIES)
set_target_properties(Kokkos::kokkos PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/missing")
