// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The error bounds that core/fast_math.hpp states, over the whole range of float: every exponent
// and sign with random mantissas, dense intervals where the functions vary, and special values.
// Each function runs in a kernel over arrays, as the library runs it, and is compared with the
// standard functions in double.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <sstream>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/fast_math.hpp>

namespace vrfm::test {

/// All functions at each of n arguments.
template <class T>
struct EvaluateAll {
  static constexpr int functions = 10;
  enum Function { exp, log, sigmoid, tanh, cdf, pdf, gelu, sine, cosine, expm1 };

  const T* x;
  T* y;  ///< functions x n
  int n;

  KOKKOS_FUNCTION void operator()(int i) const {
    const auto normal = fast::normal(x[i]);
    const auto wave = fast::sine_cosine(x[i]);
    y[exp * n + i] = fast::exp(x[i]);
    y[log * n + i] = fast::log(x[i]);
    y[expm1 * n + i] = fast::expm1(x[i]);
    y[sigmoid * n + i] = fast::sigmoid(x[i]);
    y[tanh * n + i] = fast::tanh(x[i]);
    y[cdf * n + i] = normal.cdf;
    y[pdf * n + i] = normal.pdf;
    y[gelu * n + i] = fast::gelu(x[i]);
    y[sine * n + i] = wave.sine;
    y[cosine * n + i] = wave.cosine;
  }
};

namespace {

using Functions = EvaluateAll<float>;

/// Results of all functions on the host.
template <class T>
struct Results {
  std::vector<T> x;
  std::vector<T> y;

  T at(typename EvaluateAll<T>::Function f, std::size_t i) const {
    return y[std::size_t(f) * x.size() + i];
  }
};

template <class Exec, class T>
Results<T> evaluate(const std::vector<T>& x) {
  const auto n = x.size();
  const Array<T, Exec> in("x", n), out("y", EvaluateAll<T>::functions * n);
  const auto host_in = Kokkos::create_mirror_view(in), host_out = Kokkos::create_mirror_view(out);
  for (std::size_t i = 0; i < n; ++i) host_in(i) = x[i];
  Kokkos::deep_copy(in, host_in);
  const Exec exec;
  Kokkos::parallel_for("evaluate_all",
                       Kokkos::RangePolicy<Exec, Kokkos::IndexType<int>>(exec, 0, int(n)),
                       EvaluateAll<T>{in.data(), out.data(), int(n)});
  exec.fence();
  Kokkos::deep_copy(host_out, out);
  return {x, std::vector<T>(host_out.data(), host_out.data() + host_out.extent(0))};
}

/// Each float exponent with both signs, `each` random mantissas, and dense intervals.
std::vector<float> all_floats(int each) {
  std::mt19937 engine(1);
  std::vector<float> x;
  for (std::uint32_t head = 0; head < 512; ++head) {
    if (head % 256 == 255) continue;  // infinities and NaN
    for (int k = 0; k < each; ++k) {
      x.push_back(
          std::bit_cast<float>(head << 23 | static_cast<std::uint32_t>(engine() & 0x7fffffu)));
    }
    x.push_back(std::bit_cast<float>(head << 23));
    x.push_back(std::bit_cast<float>(head << 23 | 0x7fffffu));
  }
  // Around one, where the logarithm vanishes.
  for (std::uint32_t k = 0; k < 64; ++k) x.push_back(std::bit_cast<float>(0x3f800000u - 32 + k));
  for (const float end : {2.0f, 20.0f, 110.0f}) {
    for (int k = -each * 32; k <= each * 32; ++k) x.push_back(end * float(k) / float(each * 32));
  }
  return x;
}

/// Distance between neighbouring floats at |x|, also where they are subnormal.
double ulp(double x) {
  const double smallest = std::ldexp(1.0, -149);
  if (x == 0) return smallest;
  return std::max(smallest, std::ldexp(1.0, std::ilogb(x) - 23));
}

/// The worst error found and where.
struct Worst {
  double error = 0;
  double x = 0;

  void add(double e, double where) {
    if (e > error || e != e) {
      error = e;
      x = where;
    }
  }
  std::string text() const {
    std::ostringstream out;
    out.precision(9);
    out << "largest error " << error << " at x = " << x;
    return out.str();
  }
};

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double largest_float = std::numeric_limits<float>::max();
constexpr double smallest_normal = std::numeric_limits<float>::min();

double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }
double normal_pdf(double x) { return std::exp(-0.5 * x * x) * 0.39894228040143267794; }

}  // namespace
}  // namespace vrfm::test

using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("float functions keep their stated bounds", "[core][fast_math]", Spaces) {
  const auto r = evaluate<TestType>(all_floats(2000));
  Worst exp_ulp, expm1_ulp, log_ulp, sigmoid_ulp, tanh_ulp, cdf_relative, cdf_absolute,
      pdf_relative, pdf_absolute, gelu_relative, gelu_negative, wave;
  int wrong_limit = 0;
  for (std::size_t i = 0; i < r.x.size(); ++i) {
    const double x = static_cast<double>(r.x[i]);
    const auto at = [&](Functions::Function f) { return static_cast<double>(r.at(f, i)); };

    const double e = std::exp(x);
    if (x > 88.73) {
      wrong_limit += at(Functions::exp) != infinity ? 1 : 0;
    } else if (x < -104) {
      wrong_limit += at(Functions::exp) != 0 ? 1 : 0;
    } else if (e <= largest_float) {
      exp_ulp.add(std::fabs(at(Functions::exp) - e) / ulp(e), x);
    }

    const double less_one = std::expm1(x);
    if (x > 88) {
      wrong_limit += at(Functions::expm1) != infinity ? 1 : 0;
    } else {
      expm1_ulp.add(std::fabs(at(Functions::expm1) - less_one) / ulp(less_one), x);
    }

    if (x > 0) {
      const double l = std::log(x);
      log_ulp.add(std::fabs(at(Functions::log) - l) / ulp(l), x);
    } else {
      wrong_limit += x == 0 ? at(Functions::log) != -infinity : !std::isnan(at(Functions::log));
    }

    const double s = 1 / (1 + std::exp(-x));
    if (s >= smallest_normal) sigmoid_ulp.add(std::fabs(at(Functions::sigmoid) - s) / ulp(s), x);

    const double t = std::tanh(x);
    tanh_ulp.add(std::fabs(at(Functions::tanh) - t) / ulp(t), x);

    const double cdf = normal_cdf(x), pdf = normal_pdf(x);
    const double cdf_error = std::fabs(at(Functions::cdf) - cdf);
    const double pdf_error = std::fabs(at(Functions::pdf) - pdf);
    cdf_absolute.add(cdf_error, x);
    pdf_absolute.add(pdf_error, x);
    if (x > -5) cdf_relative.add(cdf_error / cdf, x);
    const double gelu_error = std::fabs(at(Functions::gelu) - x * cdf);
    if (std::fabs(x) >= smallest_normal) gelu_relative.add(gelu_error / std::fabs(x), x);
    if (x < 0) gelu_negative.add(gelu_error, x);
    if (std::fabs(x) < 5) pdf_relative.add(pdf_error / pdf, x);

    if (std::fabs(x) <= 8192) {
      wave.add(std::fabs(at(Functions::sine) - std::sin(x)), x);
      wave.add(std::fabs(at(Functions::cosine) - std::cos(x)), x);
    }
  }
  const auto within = [](const char* what, const Worst& worst, double bound) {
    INFO(what << ": " << worst.text());
    CHECK(worst.error <= bound);
  };
  within("exp, ulp", exp_ulp, 2);
  within("expm1, ulp", expm1_ulp, 3);
  within("log, ulp", log_ulp, 1);
  within("sigmoid, ulp", sigmoid_ulp, 4);
  within("tanh, ulp", tanh_ulp, 4);
  within("normal cdf, relative", cdf_relative, 1e-6);
  within("normal cdf, absolute", cdf_absolute, 3e-7);
  within("normal pdf, relative", pdf_relative, 1e-6);
  within("normal pdf, absolute", pdf_absolute, 3e-7);
  within("gelu over |x|", gelu_relative, 2e-7);
  within("gelu of negative x, absolute", gelu_negative, 1.5e-7);
  within("sine and cosine, absolute", wave, 2e-7);
  CHECK(wrong_limit == 0);
}

TEMPLATE_LIST_TEST_CASE("sine and cosine keep their bound beside all quadrant borders",
                        "[core][fast_math]", Spaces) {
  // Where the reduced angle is smallest or just changes its quadrant.
  std::vector<float> x;
  for (int k = -10430; k <= 10430; ++k) {
    float y = static_cast<float>(k * 0.78539816339744830962);
    y = std::nextafterf(std::nextafterf(y, -1e9f), -1e9f);
    for (int step = 0; step < 5; ++step, y = std::nextafterf(y, 1e9f)) {
      if (std::fabs(y) <= 8192) x.push_back(y);
    }
  }
  const auto r = evaluate<TestType>(x);
  Worst worst;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double angle = static_cast<double>(x[i]);
    worst.add(std::fabs(static_cast<double>(r.at(Functions::sine, i)) - std::sin(angle)), angle);
    worst.add(std::fabs(static_cast<double>(r.at(Functions::cosine, i)) - std::cos(angle)), angle);
  }
  INFO(worst.text());
  CHECK(worst.error <= 2e-7);
}

TEMPLATE_LIST_TEST_CASE("special values of the float functions", "[core][fast_math]", Spaces) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float tiny = std::numeric_limits<float>::denorm_min();
  const auto r = evaluate<TestType>(std::vector<float>{0.0f, -0.0f, inf, -inf, nan, tiny, -tiny});
  enum { zero, minus_zero, plus_inf, minus_inf, not_a_number, plus_tiny, minus_tiny };
  const auto at = [&](Functions::Function f, std::size_t i) { return r.at(f, i); };

  for (const std::size_t i : {zero, minus_zero, plus_tiny, minus_tiny}) {
    CHECK(at(Functions::exp, i) == 1.0f);
    CHECK(at(Functions::sigmoid, i) == 0.5f);
    CHECK(at(Functions::cosine, i) == 1.0f);
    CHECK(at(Functions::tanh, i) == r.x[i]);
    CHECK(at(Functions::expm1, i) == r.x[i]);
    CHECK(at(Functions::sine, i) == r.x[i]);
    CHECK(std::fabs(at(Functions::gelu, i)) <= std::fabs(r.x[i]));
    CHECK(std::fabs(at(Functions::cdf, i) - 0.5f) <= 3e-7f);
    CHECK(std::fabs(at(Functions::pdf, i) - 0.39894228f) <= 3e-7f);
  }
  CHECK(at(Functions::exp, plus_inf) == inf);
  CHECK(at(Functions::log, zero) == -inf);
  CHECK(at(Functions::log, minus_zero) == -inf);
  CHECK(at(Functions::log, plus_inf) == inf);
  CHECK(std::isnan(at(Functions::log, minus_inf)));
  CHECK(std::isnan(at(Functions::log, minus_tiny)));
  CHECK(at(Functions::log, plus_tiny) == static_cast<float>(-149 * 0.69314718055994531));
  CHECK(at(Functions::exp, minus_inf) == 0.0f);
  CHECK(at(Functions::expm1, plus_inf) == inf);
  CHECK(at(Functions::expm1, minus_inf) == -1.0f);
  CHECK(at(Functions::sigmoid, plus_inf) == 1.0f);
  CHECK(at(Functions::sigmoid, minus_inf) == 0.0f);
  CHECK(at(Functions::tanh, plus_inf) == 1.0f);
  CHECK(at(Functions::tanh, minus_inf) == -1.0f);
  CHECK(at(Functions::cdf, plus_inf) == 1.0f);
  CHECK(at(Functions::cdf, minus_inf) == 0.0f);
  CHECK(at(Functions::pdf, plus_inf) == 0.0f);
  CHECK(at(Functions::pdf, minus_inf) == 0.0f);
  CHECK(at(Functions::gelu, plus_inf) == inf);
  CHECK(std::fabs(at(Functions::gelu, minus_inf)) <= 1.5e-7f);
  for (int f = 0; f < Functions::functions; ++f) {
    CHECK(std::isnan(at(static_cast<Functions::Function>(f), not_a_number)));
  }
  for (const std::size_t i : {plus_inf, minus_inf}) {
    CHECK(std::isnan(at(Functions::sine, i)));
    CHECK(std::isnan(at(Functions::cosine, i)));
  }
}

TEMPLATE_LIST_TEST_CASE("double functions are the standard ones to a few ulp", "[core][fast_math]",
                        Spaces) {
  using F = EvaluateAll<double>;
  std::vector<double> x;
  for (int k = -40000; k <= 40000; ++k) x.push_back(k / 1000.0);
  const auto r = evaluate<TestType>(x);
  const double eps = std::numeric_limits<double>::epsilon();
  Worst relative, absolute;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto rel = [&](F::Function f, double exact) {
      relative.add(std::fabs(r.at(f, i) - exact) / (eps * std::fabs(exact) + 1e-300), x[i]);
    };
    rel(F::exp, std::exp(x[i]));
    rel(F::expm1, std::expm1(x[i]));
    if (x[i] > 0) rel(F::log, std::log(x[i]));
    rel(F::sigmoid, 1 / (1 + std::exp(-x[i])));
    rel(F::tanh, std::tanh(x[i]));
    rel(F::pdf, normal_pdf(x[i]));
    absolute.add(std::fabs(r.at(F::cdf, i) - normal_cdf(x[i])) / eps, x[i]);
    absolute.add(std::fabs(r.at(F::gelu, i) - x[i] * normal_cdf(x[i])) /
                     (eps * std::fmax(1.0, std::fabs(x[i]))),
                 x[i]);
    absolute.add(std::fabs(r.at(F::sine, i) - std::sin(x[i])) / eps, x[i]);
    absolute.add(std::fabs(r.at(F::cosine, i) - std::cos(x[i])) / eps, x[i]);
  }
  INFO("relative: " << relative.text() << "; absolute: " << absolute.text() << " (in epsilons)");
  CHECK(relative.error <= 4);
  CHECK(absolute.error <= 2);
}

TEST_CASE("min, max and is_finite treat NaN as documented", "[core][compat]") {
  namespace math = vrfm::math;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(math::minimum(1.0, 2.0) == 1.0);
  CHECK(math::maximum(1, 2) == 2);
  CHECK(std::isnan(math::minimum(nan, 1.0)));
  CHECK(math::minimum(1.0, nan) == 1.0);
  CHECK(std::isnan(math::maximum(nan, 1.0)));
  CHECK(math::maximum(1.0, nan) == 1.0);
  CHECK(math::is_finite(0.0));
  CHECK(math::is_finite(std::numeric_limits<double>::max()));
  CHECK(math::is_finite(-std::numeric_limits<float>::denorm_min()));
  CHECK_FALSE(math::is_finite(inf));
  CHECK_FALSE(math::is_finite(-inf));
  CHECK_FALSE(math::is_finite(nan));
}
