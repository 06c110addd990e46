# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# How this project's own programs (tests, examples, benchmarks) are compiled: the target
# vrfm_program, which nothing that is installed ever links.
if(TARGET vrfm_program)
  return()
endif()

add_library(vrfm_program INTERFACE)
# A folder's lock has a thread.
find_package(Threads REQUIRED)
target_link_libraries(vrfm_program INTERFACE vrfm::vrfm vrfm::io Threads::Threads)
target_compile_options(vrfm_program INTERFACE
  # A square root that sets errno is a call, which keeps a loop from becoming vector code.
  "$<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-Wall;-Wextra;-Wshadow;-fno-math-errno>")
# An index that is cut short, or a count that becomes negative, is seen by the compiler. What a device's
# compiler makes of a source for the host's is full of both.
if(NOT Kokkos_DEVICES MATCHES "CUDA|HIP|SYCL")
  target_compile_options(vrfm_program INTERFACE
    "$<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-Wconversion;-Wsign-conversion>")
endif()
if(VRFM_NATIVE)
  target_compile_options(vrfm_program INTERFACE -march=native)
  # Compilers hold AVX-512 back for mixed code; the loops here are long enough for it.
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-mprefer-vector-width=512 HAS_PREFER_VECTOR_WIDTH)
  if(HAS_PREFER_VECTOR_WIDTH)
    target_compile_options(vrfm_program INTERFACE -mprefer-vector-width=512)
  endif()
endif()
