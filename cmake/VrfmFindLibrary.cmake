# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_find_onednn() and vrfm_find_cudnn(): DNNL::dnnl and CUDNN::cudnn, unless there are such targets
# already. Headers and libraries are looked for by hand, under DNNL_ROOT and CUDNN_ROOT first: Debian's
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
