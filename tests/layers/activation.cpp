// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activations: values against their formulas in long double, slopes against five-point differences
// of the values, float against double, and far from zero the asymptotes. Tolerances: a few roundings
// of numbers of size 1 + |x|; eps^(4/5) for a difference with step eps^(1/5).
#include <cmath>
#include <limits>
#include <string>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>

#include <vrfm/core/activation.hpp>

using namespace vrfm;
using vrfm::test::epsilon;

namespace {

using Exact = long double;

Exact exact(Identity, Exact x) { return x; }
Exact exact(Relu, Exact x) { return x > 0 ? x : 0; }
template <class M>
Exact exact(BasicSilu<M>, Exact x) {
  return x / (1 + std::exp(-x));
}
template <class M>
Exact exact(BasicGelu<M>, Exact x) {
  return x * std::erfc(-x / std::sqrt(Exact(2))) / 2;
}
template <class M>
Exact exact(BasicGeluTanh<M>, Exact x) {
  const Exact pi = 3.14159265358979323846264338327950288L;
  return x / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715L * x * x * x)));
}
template <class M>
Exact exact(BasicSelu<M>, Exact x) {
  const Exact lambda = 1.0507009873554804934193349852946L;
  const Exact alpha = 1.6732632423543772848170429916717L;
  return x > 0 ? lambda * x : lambda * alpha * std::expm1(x);
}
template <class M>
Exact exact(BasicTanh<M>, Exact x) {
  return std::tanh(x);
}

/// Five-point difference of the value.
template <class Act>
double difference_quotient(double x, double h) {
  const auto f = [&](double step) { return Act::evaluate(x + step * h).value; };
  return (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h);
}

/// The slope far to either side.
struct Ends {
  double left, right;
};
Ends ends(Identity) { return {1, 1}; }
template <class M>
Ends ends(BasicSelu<M>) {
  return {0, 1.0507009873554804934};
}
template <class M>
Ends ends(BasicTanh<M>) {
  return {0, 0};
}
template <class Act>
Ends ends(Act) {
  return {0, 1};
}

}  // namespace

TEMPLATE_TEST_CASE("activations agree with their formulas", "[layers][activation]", Identity, Relu,
                   Silu, Gelu, GeluTanh, Selu, Tanh, BasicSilu<ExactMath>, BasicGelu<ExactMath>,
                   BasicGeluTanh<ExactMath>, BasicSelu<ExactMath>, BasicTanh<ExactMath>) {
  STATIC_REQUIRE(Activation<TestType>);
  const double h = std::pow(epsilon<double>, 0.2);
  for (int k = -4000; k <= 4000; ++k) {
    const double x = k / 400.0;
    const auto y = TestType::evaluate(x);
    const auto f = TestType::evaluate(static_cast<float>(x));
    const double size = 1 + std::fabs(x);
    INFO("x = " << x);
    REQUIRE(std::fabs(y.value - static_cast<double>(exact(TestType{}, Exact(x)))) <=
            8 * epsilon<double> * size);
    REQUIRE(std::fabs(static_cast<double>(f.value) -
                      TestType::evaluate(static_cast<double>(static_cast<float>(x))).value) <=
            8 * epsilon<float> * size);
    REQUIRE(std::fabs(value_of<TestType>(x) - y.value) <= 8 * epsilon<double> * size);
    REQUIRE(std::fabs(value_of<TestType>(static_cast<float>(x)) - f.value) <=
            8 * epsilon<float> * static_cast<float>(size));
    // Beside a kink the difference quotient means nothing.
    if (std::fabs(x) <= 2 * h) continue;
    REQUIRE(std::fabs(y.slope - difference_quotient<TestType>(x, h)) <=
            64 * std::pow(epsilon<double>, 0.8) * size);
    REQUIRE(std::fabs(static_cast<double>(f.slope) - y.slope) <= 16 * epsilon<float> * size);
  }
}

TEMPLATE_TEST_CASE("activations reach their asymptotes and stay finite", "[layers][activation]",
                   Identity, Relu, Silu, Gelu, GeluTanh, Selu, Tanh) {
  const auto end = ends(TestType{});
  const auto check = [&](auto x) {
    using T = decltype(x);
    INFO("x = " << x);
    const auto y = TestType::evaluate(x);
    const double slope = x < 0 ? end.left : end.right;
    CHECK(std::fabs(static_cast<double>(y.slope) - slope) <= 2 * epsilon<T>);
    const auto value = static_cast<double>(exact(TestType{}, static_cast<Exact>(x)));
    const T values[] = {y.value, value_of<TestType>(x)};
    for (const T one : values) {
      CHECK(std::fabs(static_cast<double>(one) - value) <= 4 * epsilon<T> * (1 + std::fabs(value)));
    }
  };
  for (const double x : {1e3, 1e6, 1e15}) {
    check(x);
    check(-x);
    check(static_cast<float>(x));
    check(static_cast<float>(-x));
  }
}

TEMPLATE_TEST_CASE("activations at zero, infinity and NaN", "[layers][activation]", float, double) {
  using T = TestType;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(Relu::evaluate(T(0)).slope == T(0));
  CHECK(Silu::evaluate(T(0)).slope == T(0.5));
  CHECK(std::fabs(Gelu::evaluate(T(0)).slope - T(0.5)) <= T(4 * epsilon<T>));
  CHECK(GeluTanh::evaluate(T(0)).slope == T(0.5));
  CHECK(Tanh::evaluate(T(0)).slope == T(1));

  CHECK(Relu::evaluate(inf).value == inf);
  CHECK(Relu::evaluate(-inf).value == T(0));
  CHECK(Silu::evaluate(inf).value == inf);
  CHECK(Gelu::evaluate(inf).value == inf);
  CHECK(value_of<Gelu>(inf) == inf);
  CHECK(GeluTanh::evaluate(inf).value == inf);
  CHECK(Selu::evaluate(inf).value == inf);
  CHECK(std::fabs(Selu::evaluate(-inf).value + T(1.7580993408473769)) <= T(2 * epsilon<T>));
  CHECK(Tanh::evaluate(inf).value == T(1));
  CHECK(Tanh::evaluate(-inf).value == T(-1));

  // A NaN must reach the loss, where training stops.
  CHECK(std::isnan(Identity::evaluate(nan).value));
  CHECK(std::isnan(Relu::evaluate(nan).value));
  CHECK(std::isnan(Silu::evaluate(nan).value));
  CHECK(std::isnan(Gelu::evaluate(nan).value));
  CHECK(std::isnan(value_of<Gelu>(nan)));
  CHECK(std::isnan(GeluTanh::evaluate(nan).value));
  CHECK(std::isnan(Selu::evaluate(nan).value));
  CHECK(std::isnan(Tanh::evaluate(nan).value));
}

TEST_CASE("activations' names", "[layers][activation]") {
  using Name = std::string;
  CHECK(Name(Identity::name) == "identity");
  CHECK(Name(Relu::name) == "relu");
  CHECK(Name(Silu::name) == "silu");
  CHECK(Name(Gelu::name) == "gelu");
  CHECK(Name(GeluTanh::name) == "gelu_tanh");
  CHECK(Name(Selu::name) == "selu");
  CHECK(Name(Tanh::name) == "tanh");
}
