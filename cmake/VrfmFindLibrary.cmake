# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_find_hdf5(), vrfm_find_onednn() and vrfm_find_cudnn(): HDF5::hdf5_c, DNNL::dnnl and CUDNN::cudnn,
# unless there are such targets already. Of the last two, headers and libraries are looked for by hand, under DNNL_ROOT and CUDNN_ROOT first: Debian's
# package configuration of oneDNN asks for OpenCL's development files, and cuDNN 9 has none.
function(vrfm_find_library name target header)
  find_path(${name}_INCLUDE_DIR ${header} HINTS ENV ${name}_ROOT PATH_SUFFIXES include)
  find_library(${name}_LIBRARY NAMES ${ARGN} HINTS ENV ${name}_ROOT PATH_SUFFIXES lib)
  mark_as_advanced(${name}_INCLUDE_DIR ${name}_LIBRARY)
  if(NOT TARGET ${target} AND ${name}_INCLUDE_DIR AND ${name}_LIBRARY)
    add_library(${target} UNKNOWN IMPORTED)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${${name}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${${name}_INCLUDE_DIR}")
  endif()
endfunction()

function(vrfm_find_onednn)
  vrfm_find_library(DNNL DNNL::dnnl oneapi/dnnl/dnnl.hpp dnnl)
endfunction()

# Python's package of it has no other name than libcudnn.so.9.
function(vrfm_find_cudnn)
  if(Kokkos_DEVICES MATCHES "CUDA")
    vrfm_find_library(CUDNN CUDNN::cudnn cudnn.h libcudnn.so.9 cudnn)
  endif()
endfunction()

# The C library alone, and none of the flags that its compiler wrapper adds. An HDF5 for MPI includes mpi.h.
function(vrfm_find_hdf5)
  if(TARGET HDF5::hdf5_c)
    return()
  endif()
  find_package(HDF5 1.8.13 QUIET COMPONENTS C)
  if(HDF5_FOUND AND HDF5_C_LIBRARIES)
    add_library(HDF5::hdf5_c INTERFACE IMPORTED)
    target_include_directories(HDF5::hdf5_c INTERFACE ${HDF5_INCLUDE_DIRS} ${HDF5_C_INCLUDE_DIRS})
    # A shared library brings what it needs itself.
    set(libraries ${HDF5_C_LIBRARIES})
    list(GET libraries 0 first)
    if(first MATCHES "hdf5[^/]*\\.(so|dylib)")
      set(libraries "${first}")
    endif()
    target_link_libraries(HDF5::hdf5_c INTERFACE ${libraries})
    if(HDF5_IS_PARALLEL)
      set(MPI_CXX_SKIP_MPICXX ON)
      find_package(MPI QUIET COMPONENTS CXX)
      target_link_libraries(HDF5::hdf5_c INTERFACE $<TARGET_NAME_IF_EXISTS:MPI::MPI_CXX>)
    endif()
  endif()
endfunction()
