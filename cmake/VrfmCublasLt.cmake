# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_link_cublaslt(vrfm): where Kokkos has CUDA and the toolkit has cuBLASLt, matrix products of whole
# batches are that library's. Decided wherever a program is configured, so that an installed vrfm
# stays usable with any Kokkos.
function(vrfm_link_cublaslt target)
  if(NOT Kokkos_DEVICES MATCHES "CUDA")
    return()
  endif()
  find_package(CUDAToolkit QUIET)
  if(TARGET CUDA::cublasLt)
    target_link_libraries(${target} INTERFACE $<BUILD_INTERFACE:CUDA::cublasLt>)
    target_compile_definitions(${target} INTERFACE $<BUILD_INTERFACE:VRFM_HAS_CUBLASLT>)
  else()
    message(STATUS "vrfm: the CUDA toolkit has no cuBLASLt; products of batches are a portable kernel")
  endif()
endfunction()
