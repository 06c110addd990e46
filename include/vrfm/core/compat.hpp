// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The few spellings that changed between Kokkos 3.4 and 5: mathematical functions left
// Kokkos::Experimental at 3.7. Everything else the library uses is spelled alike in all of them.
// The compiler hints of the element loops live here too.
#pragma once

#include <cmath>

#include <Kokkos_Core.hpp>

#if KOKKOS_VERSION < 30401
#error "vrfm needs Kokkos 3.4.01 or later"
#endif

// A host-device template that may be instantiated with host-only callees (a launch, a host BLAS);
// it is then called from the host only. Silences nvcc's check of that, nothing else.
#if defined(__CUDACC__)
#define VRFM_UNCHECKED_HOST_DEVICE _Pragma("nv_exec_check_disable")
#else
#define VRFM_UNCHECKED_HOST_DEVICE
#endif

// The iterations of the next loop are independent: lets the host compiler vectorise without
// run-time alias checks.
#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
#define VRFM_INDEPENDENT_ITERATIONS
#elif defined(__clang__)
#define VRFM_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__) && !defined(__CUDACC__)
#define VRFM_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#else
#define VRFM_INDEPENDENT_ITERATIONS
#endif

// The next loop, of a few constant iterations, becomes straight code, so that arrays it indexes can
// live in registers.
#if defined(__CUDACC__)
#define VRFM_UNROLL
#elif defined(__clang__)
#define VRFM_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define VRFM_UNROLL _Pragma("GCC unroll 16")
#else
#define VRFM_UNROLL
#endif

// A function that a CUDA kernel calls instead of containing it once for each call, with registers of
// its own. Its arguments should be values: what is passed by reference lives in memory.
#if defined(__CUDACC__)
#define VRFM_CALLED __noinline__
#else
#define VRFM_CALLED
#endif

namespace vrfm {

/// In a policy: the functor travels with the launch as its argument (below 4 KiB). Kokkos::Cuda else
/// passes functors above 512 bytes through one buffer for all kernels, which makes the host wait for
/// the kernel before, and which a graph cannot replay.
using LightKernel = Kokkos::Experimental::WorkItemProperty::HintLightWeight_t;

}  // namespace vrfm

namespace vrfm::math {

#if KOKKOS_VERSION >= 30700
namespace backend = Kokkos;
#else
namespace backend = Kokkos::Experimental;
#endif

using backend::cos;
using backend::erf;
using backend::exp;
using backend::expm1;
using backend::fabs;
using backend::log;
using backend::log1p;
using backend::pow;
using backend::sin;
using backend::sqrt;
using backend::tanh;

/// a b + c, rounded once on every backend: an instruction where there is one, else a slow call.
KOKKOS_INLINE_FUNCTION float fma(float a, float b, float c) { return ::fmaf(a, b, c); }

/// True unless `x` is an infinity or NaN (written without library calls: every backend has it).
template <class T>
KOKKOS_INLINE_FUNCTION bool is_finite(T x) {
  return x - x == T(0);
}

/// The smaller argument; the first if either is NaN.
template <class T>
KOKKOS_INLINE_FUNCTION constexpr T min(T a, T b) {
  return b < a ? b : a;
}

/// The larger argument; the first if either is NaN.
template <class T>
KOKKOS_INLINE_FUNCTION constexpr T max(T a, T b) {
  return a < b ? b : a;
}

}  // namespace vrfm::math
