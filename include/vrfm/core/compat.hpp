// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The few names that changed between Kokkos 3.4 and 5: mathematical functions left
// Kokkos::Experimental at 3.7. Everything else that the library uses has one name in all versions.
// The compiler hints for element loops are here too.
#pragma once

#include <cmath>

#include <Kokkos_Core.hpp>

#if KOKKOS_VERSION < 30401
#error "vrfm needs Kokkos 3.4.01 or later"
#endif

// Steps that are not finite are found by x - x, bits are promised, and fast_math.hpp rounds by adding
// and subtracting: all of it would be optimised away.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0)
#error \
    "vrfm: expected a compilation without -ffast-math and -ffinite-math-only; -fno-math-errno is fine"
#endif

// Marks a host-device template that may be instantiated with host-only callees (a launch, a host
// BLAS); it is then called from the host alone. Silences nvcc's check of that and nothing else.
#if defined(__CUDACC__)
#define VRFM_UNCHECKED_HOST_DEVICE _Pragma("nv_exec_check_disable")
#else
#define VRFM_UNCHECKED_HOST_DEVICE
#endif

// The iterations of the next loop are independent: the host compiler may vectorise it without
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

// Unrolls the next loop, of a few constant iterations, so that the arrays it indexes can live in
// registers.
#if defined(__CUDACC__)
#define VRFM_UNROLL
#elif defined(__clang__)
#define VRFM_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define VRFM_UNROLL _Pragma("GCC unroll 16")
#else
#define VRFM_UNROLL
#endif

// A function that a CUDA kernel calls, with registers of its own, instead of containing a copy for
// each call. Its arguments should be values: what is passed by reference lives in memory.
#if defined(__CUDACC__)
#define VRFM_CALLED __noinline__
#else
#define VRFM_CALLED
#endif

namespace vrfm {

/// For a policy: the functor travels with the launch as its argument (below 4 KiB). Without it
/// Kokkos::Cuda passes functors above 512 bytes through one buffer for all kernels: the host then
/// waits for the kernel before, and a graph cannot replay the launch.
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
using backend::floor;
using backend::log;
using backend::log1p;
using backend::pow;
using backend::sin;
using backend::sqrt;
using backend::tanh;

/// a b + c, rounded once on every backend: one instruction where the processor has it, else a slow
/// call.
KOKKOS_INLINE_FUNCTION float fma(float a, float b, float c) { return ::fmaf(a, b, c); }

/// True unless `x` is an infinity or NaN. Written without library calls, so that every backend has
/// it.
template <class T>
KOKKOS_INLINE_FUNCTION bool is_finite(T x) {
  return x - x == T(0);
}

/// The smaller argument; the first if either is NaN.
template <class T>
KOKKOS_INLINE_FUNCTION constexpr T minimum(T a, T b) {
  return b < a ? b : a;
}

/// The larger argument; the first if either is NaN.
template <class T>
KOKKOS_INLINE_FUNCTION constexpr T maximum(T a, T b) {
  return a < b ? b : a;
}

}  // namespace vrfm::math
