# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Kokkos::kokkos of a Kokkos that was packaged as part of Trilinos (Debian's
# libtrilinos-kokkos-dev) names an include folder that does not exist, so that every program that
# links it fails to generate. The right folder is in Kokkos_INCLUDE_DIRS of the same package.
function(vrfm_repair_kokkos)
  get_target_property(folders Kokkos::kokkos INTERFACE_INCLUDE_DIRECTORIES)
  foreach(folder IN LISTS folders)
    if(IS_ABSOLUTE "${folder}" AND NOT EXISTS "${folder}" AND Kokkos_INCLUDE_DIRS)
      set_target_properties(Kokkos::kokkos PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${Kokkos_INCLUDE_DIRS}")
      return()
    endif()
  endforeach()
endfunction()
