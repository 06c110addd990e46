// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementary functions without branches or calls, so that a loop over them becomes vector code.
// The float versions are polynomials with the error bounds stated below (tested against double
// over the whole range); the double versions are the standard functions. Argument reductions after
// Cody and Waite, "Software Manual for the Elementary Functions" (1980); polynomials of exp, sine
// and cosine from Moshier's Cephes library, the others fitted here.
// They rely on IEEE arithmetic (compat.hpp refuses -ffast-math).
#pragma once

#include <cmath>
#include <cstdint>

#include <vrfm/core/compat.hpp>

namespace vrfm::fast {

namespace detail {

// Adding 1.5 * 2^23 leaves the nearest integer in the low mantissa bits.
inline constexpr float round_magic = 12582912.0f;
inline constexpr std::int32_t round_magic_bits = 0x4B400000;

KOKKOS_INLINE_FUNCTION float power_of_two(std::int32_t n) {
  const std::int32_t bits = (n + 127) << 23;
  return __builtin_bit_cast(float, bits);
}

/// exp(x) = (1 + `less_one`) 2^n
struct ReducedExponential {
  float less_one;
  std::int32_t n;
};

/// For |x| <= 104.
KOKKOS_INLINE_FUNCTION ReducedExponential reduced_exp(float x) {
  const float shifted = x * 1.44269504088896341f + round_magic;
  const float n = shifted - round_magic;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {p * (r * r) + r, __builtin_bit_cast(std::int32_t, shifted) - round_magic_bits};
}

/// log(x) + n log(2) for normal x > 0. Products and sums are fixed pairs of fma, so the bits are
/// the same whatever the compiler contracts; random.hpp relies on that.
KOKKOS_INLINE_FUNCTION float log_of_normal(float x, std::int32_t n = 0) {
  // x = m 2^k with m in [sqrt(1/2), sqrt(2)); log(1 + f) = f - f^2 / 2 + f^3 p(f) to a relative 6e-9.
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
  const std::int32_t k = static_cast<std::int32_t>(bits - 0x3F3504F3u) >> 23;
  const float f = __builtin_bit_cast(float, bits - (static_cast<std::uint32_t>(k) << 23)) - 1.0f;
  float p = -0.076344974f;
  p = math::fma(p, f, 0.12761578f);
  p = math::fma(p, f, -0.13160183f);
  p = math::fma(p, f, 0.14201757f);
  p = math::fma(p, f, -0.16623357f);
  p = math::fma(p, f, 0.20001227f);
  p = math::fma(p, f, -0.2500082f);
  p = math::fma(p, f, 0.3333333f);
  p = math::fma(p, f, -0.5f);
  p = math::fma(p, f * f, f);
  return math::fma(static_cast<float>(k + n), 0.693147180559945309f, p);
}

}  // namespace detail

/// exp(x). Relative error at most 2 ulp; 0 below -104, infinity above 88.73, NaN for NaN.
KOKKOS_INLINE_FUNCTION float exp(float x) {
  const float low = x < -104.0f ? -104.0f : x;
  const auto e = detail::reduced_exp(low > 89.0f ? 89.0f : low);
  // Two factors, so that results below 2^-126 round and those above 2^127 overflow as they should.
  const std::int32_t half = e.n >> 1;
  return (e.less_one + 1.0f) * detail::power_of_two(half) * detail::power_of_two(e.n - half);
}

KOKKOS_INLINE_FUNCTION double exp(double x) { return math::exp(x); }

/// exp(x) - 1. Relative error at most 3 ulp; infinity above 88, NaN for NaN.
KOKKOS_INLINE_FUNCTION float expm1(float x) {
  constexpr float infinity = INFINITY;
  const float low = x < -20.0f ? -20.0f : x;
  const auto e = detail::reduced_exp(low > 88.0f ? 88.0f : low);
  const float scale = detail::power_of_two(e.n);
  const float y = e.less_one * scale + (scale - 1.0f);
  return x > 88.0f ? infinity : y;
}

KOKKOS_INLINE_FUNCTION double expm1(double x) { return math::expm1(x); }

/// log(x). Error at most 1 ulp, for subnormal x too; -infinity at zero, NaN for negative x and for
/// NaN. The same bits on every backend.
KOKKOS_INLINE_FUNCTION float log(float x) {
  constexpr float infinity = INFINITY, not_a_number = NAN;
  const bool subnormal = x < 1.17549435e-38f;
  const float y = detail::log_of_normal(subnormal ? x * 8388608.0f : x, subnormal ? -23 : 0);
  const float positive = x < infinity ? y : infinity;
  return x > 0.0f ? positive : (x == 0.0f ? -infinity : not_a_number);
}

KOKKOS_INLINE_FUNCTION double log(double x) { return math::log(x); }

/// 1 / (1 + exp(-x)). Relative error at most 4 ulp for float where the result is normal.
template <class T>
KOKKOS_INLINE_FUNCTION T sigmoid(T x) {
  return T(1) / (T(1) + fast::exp(-x));
}

/// tanh(x). Relative error at most 4 ulp for float.
KOKKOS_INLINE_FUNCTION float tanh(float x) {
  const float magnitude = math::fabs(x);
  const float e = fast::exp(2.0f * magnitude);
  const float large = 1.0f - 2.0f / (e + 1.0f);
  // Below 0.625 the formula above cancels; this odd polynomial does not.
  const float s = x * x;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const float series = p * s * x + x;
  const float signed_large = x < 0.0f ? -large : large;
  return magnitude < 0.625f ? series : signed_large;
}

KOKKOS_INLINE_FUNCTION double tanh(double x) { return math::tanh(x); }

/// The standard normal distribution function and density at one argument.
template <class T>
struct Normal {
  T cdf;
  T pdf;
};

/// cdf = (1 + erf(x / sqrt 2)) / 2, relative error at most 1e-6 for float and x > -5, absolute
/// error below 3e-7 everywhere; pdf = exp(-x^2 / 2) / sqrt(2 pi), same bounds.
/// exp(x^2/2) erfc(|x| / sqrt 2) / 2 is a polynomial of degree 13 in u = |x| / 2.625 - 1 to a
/// relative 1.9e-7 for |x| <= 5.25; beyond, the cdf's tail is below 8e-8. No division: it would cost
/// as much as all the rest.
KOKKOS_INLINE_FUNCTION Normal<float> normal(float x) {
  const float magnitude = math::fabs(x);
  const float square = -0.5f * x * x;
  // Zero where it no longer matters: subnormal numbers slow down everything they touch.
  const auto e = detail::reduced_exp(square < -80.0f ? -80.0f : square);
  const float density = square < -80.0f ? 0.0f : (e.less_one + 1.0f) * detail::power_of_two(e.n);
  const float u = (magnitude < 5.25f ? magnitude : 5.25f) * (1.0f / 2.625f) - 1.0f;
  float p = -0.000501430066f;
  p = p * u + 0.00114710939f;
  p = p * u - 0.000602518255f;
  p = p * u + 0.00070840883f;
  p = p * u - 0.00336701723f;
  p = p * u + 0.00650384033f;
  p = p * u - 0.00997618623f;
  p = p * u + 0.0164137083f;
  p = p * u - 0.0267950797f;
  p = p * u + 0.0413684215f;
  p = p * u - 0.0607824271f;
  p = p * u + 0.0847669493f;
  p = p * u - 0.111231185f;
  p = p * u + 0.135835623f;
  const float tail = p * density;
  return {x < 0.0f ? tail : 1.0f - tail, density * 0.398942280401432678f};
}

namespace detail {

/// Through erf of the signed argument: no cancellation for x > 0, and an absolute error of one ulp of
/// 1/2 for x < 0, which is what a product x * cdf needs.
template <class T>
KOKKOS_INLINE_FUNCTION Normal<T> normal_by_erf(T x) {
  return {T(0.5) * (T(1) + math::erf(x * T(0.70710678118654752440))),
          math::exp(T(-0.5) * x * x) * T(0.39894228040143267794)};
}

}  // namespace detail

KOKKOS_INLINE_FUNCTION Normal<double> normal(double x) { return detail::normal_by_erf(x); }

/// x cdf(x) without the density, in two thirds of the time. Error at most 2e-7 |x| for float, and
/// for x < 0 also at most 1.5e-7. For |x| <= 5.5 a polynomial of degree 8 in |x| stands for log2
/// cdf(-|x|), close enough that |x| cdf(-|x|) errs by at most 4e-8; beyond, where that product is
/// below 1.1e-7, it falls further.
KOKKOS_INLINE_FUNCTION float gelu(float x) {
  const float magnitude = math::fabs(x);
  const float a = magnitude > 10.0f ? 10.0f : magnitude;
  float p = -1.4335519e-06f;
  p = p * a + 2.2890656e-05f;
  p = p * a - 0.000109868706f;
  p = p * a - 0.00031470915f;
  p = p * a + 0.0072847474f;
  p = p * a - 0.052640308f;
  p = p * a - 0.45916378f;
  p = p * a - 1.1511103f;
  p = p * a - 0.9999999f;
  const float shifted = p + detail::round_magic;
  const float r = p - (shifted - detail::round_magic);
  float e = 1.32765e-3f;
  e = e * r + 9.67554e-3f;
  e = e * r + 5.550713e-2f;
  e = e * r + 2.402212e-1f;
  e = e * r + 6.9314697e-1f;
  e = e * r + 1.00000007f;
  // 2^n by adding n to the exponent: the rounding constant has only zeros in the bits that go up.
  const std::uint32_t n = __builtin_bit_cast(std::uint32_t, shifted) << 23;
  const float tail = __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, e) + n);
  return (x < 0.0f ? 0.0f : x) - a * tail;
}

KOKKOS_INLINE_FUNCTION double gelu(double x) { return x * normal(x).cdf; }

/// Sine and cosine of one angle (radians).
template <class T>
struct SineCosine {
  T sine;
  T cosine;
};

/// Absolute error at most 2e-7 for |x| <= 8192; float angles beyond that are too coarse to matter.
KOKKOS_INLINE_FUNCTION SineCosine<float> sine_cosine(float x) {
  const float shifted = x * 0.636619772367581343f + detail::round_magic;
  const float n = shifted - detail::round_magic;
  // pi / 2 in three parts; the products with n are exact.
  const float r = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188e-8f;
  const float s = r * r;
  const float sine =
      r + r * s * (-1.6666654611e-1f + s * (8.3321608736e-3f + s * -1.9515295891e-4f));
  const float cosine =
      1.0f - 0.5f * s +
      s * s * (4.166664568298827e-2f + s * (-1.388731625493765e-3f + s * 2.443315711809948e-5f));
  // The two lowest bits hold n modulo 4: they are zero in the constant that was added.
  const std::uint32_t quadrant = __builtin_bit_cast(std::uint32_t, shifted);
  const bool swapped = (quadrant & 1u) != 0;
  const float a = swapped ? cosine : sine;
  const float b = swapped ? sine : cosine;
  return {(quadrant & 2u) != 0 ? -a : a, ((quadrant + 1u) & 2u) != 0 ? -b : b};
}

KOKKOS_INLINE_FUNCTION SineCosine<double> sine_cosine(double x) {
  return {math::sin(x), math::cos(x)};
}

}  // namespace vrfm::fast

namespace vrfm {

/// The functions of this header as a type: activations and encodings compute with it unless they
/// name another.
struct FastMath {
  template <class T>
  KOKKOS_INLINE_FUNCTION static T exp(T x) {
    return fast::exp(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T log(T x) {
    return fast::log(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T sigmoid(T x) {
    return fast::sigmoid(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T tanh(T x) {
    return fast::tanh(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static fast::Normal<T> normal(T x) {
    return fast::normal(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T gelu(T x) {
    return fast::gelu(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static fast::SineCosine<T> sine_cosine(T x) {
    return fast::sine_cosine(x);
  }
};

/// The standard library's functions: exact, and slow.
struct ExactMath {
  template <class T>
  KOKKOS_INLINE_FUNCTION static T exp(T x) {
    return math::exp(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T log(T x) {
    return math::log(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T sigmoid(T x) {
    return T(1) / (T(1) + math::exp(-x));
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T tanh(T x) {
    return math::tanh(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static fast::Normal<T> normal(T x) {
    return fast::detail::normal_by_erf(x);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T gelu(T x) {
    return x * fast::detail::normal_by_erf(x).cdf;
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static fast::SineCosine<T> sine_cosine(T x) {
    return {math::sin(x), math::cos(x)};
  }
};

}  // namespace vrfm
