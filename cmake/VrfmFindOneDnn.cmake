# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_find_onednn(): DNNL::dnnl, the CPU library oneDNN, unless there is one already. Header and library are
# looked for by hand, since Debian's package configuration of it asks for OpenCL's development files.
function(vrfm_find_onednn)
  find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp HINTS ENV DNNL_ROOT PATH_SUFFIXES include)
  find_library(DNNL_LIBRARY dnnl HINTS ENV DNNL_ROOT PATH_SUFFIXES lib)
  mark_as_advanced(DNNL_INCLUDE_DIR DNNL_LIBRARY)
  if(NOT TARGET DNNL::dnnl AND DNNL_INCLUDE_DIR AND DNNL_LIBRARY)
    add_library(DNNL::dnnl UNKNOWN IMPORTED)
    set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION "${DNNL_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${DNNL_INCLUDE_DIR}")
  endif()
endfunction()
