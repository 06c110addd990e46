// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gaussian mixtures: the density against SciPy and far out, the moments of the draws, and that a
// draw depends on its address alone.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/metrics.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/draw.hpp>
#include <vrfm/data/mixture.hpp>

using namespace vrfm;
using vrfm::test::contains, vrfm::test::difference, vrfm::test::epsilon, vrfm::test::thrown;

namespace {

/// out(i, 0) = log p(x_i).
template <class T, class Exec>
struct LogDensities {
  GaussianMixture<T, Exec> mixture;
  Table<T, Exec> x, out;
  KOKKOS_FUNCTION void operator()(int i) const { out(i, 0) = mixture.log_density(&x(i, 0)); }
};

template <class T, class Exec>
std::vector<double> log_densities(const GaussianMixture<T, Exec>& mixture,
                                  const std::vector<double>& points) {
  const auto cols = static_cast<std::size_t>(mixture.dimension());
  const auto x = test::table<T, Exec>(points.size() / cols, cols, points);
  const Table<T, Exec> out("out", x.extent(0), 1);
  Kokkos::parallel_for("log_densities", Kokkos::RangePolicy<Exec>(0, x.extent(0)),
                       LogDensities<T, Exec>{mixture, x, out});
  return test::numbers_of(out);
}

/// out(i, 0) = the component of sample i.
template <class T, class Exec>
struct Components {
  GaussianMixture<T, Exec> mixture;
  RandomStream stream;
  Table<T, Exec> out;
  KOKKOS_FUNCTION void operator()(int i) const {
    out(i, 0) = static_cast<T>(mixture.draw_component(static_cast<std::uint64_t>(i), 0, stream));
  }
};

constexpr double log_two_pi = 1.83787706640934548356;

}  // namespace

TEMPLATE_LIST_TEST_CASE("a mixture's log-density agrees with SciPy", "[data][mixture]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Weights 2 : 1 : 1 are scaled to a half and two quarters.
  const GaussianMixture<T, Exec> mixture(exec, 2, {-1, 0.5, 0.25, 0.75, 1.5, -2}, {0.5, 0.125, 2},
                                         {2, 1, 1});
  CHECK(mixture.dimension() == 2);
  CHECK(mixture.components() == 3);
  const auto actual = log_densities(mixture, {0, 0, 0.25, 0.75, 3, -4, 1000, -1000});
  const auto tolerance = [](std::size_t i) {
    return 16 * epsilon<T> * (1 + std::fabs(test::expected::mixture_log_density[i]));
  };
  CHECK(difference(actual, test::expected::mixture_log_density, tolerance) == "");
}

TEMPLATE_LIST_TEST_CASE("a mixture's log-density far out", "[data][mixture]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto mixture = mixture_1d<T>(Exec(), {-1, 1}, 0.125);
  // exp of this log-density is zero in any type; the far component does not count.
  const double z = (4096 - 1) / 0.125;
  const double far = std::log(0.5 / 0.125) - 0.5 * log_two_pi - 0.5 * z * z;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double huge = static_cast<double>(std::numeric_limits<T>::max()) / 2;
  const auto values = log_densities(mixture, {4096, -4096, huge, nan});
  CHECK(std::fabs(values[0] - far) <= 4 * epsilon<T> * std::fabs(far));
  CHECK(values[1] == values[0]);
  CHECK(values[2] == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(values[3]));
}

TEMPLATE_LIST_TEST_CASE("mixtures by name", "[data][mixture]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // At a component's centre the others, 20 deviations away, do not count.
  const double angle = 2 * std::acos(-1.0) / 6;
  const auto circle = mixture_on_circle<T>(exec, 6, 1, 0.05);
  CHECK(circle.components() == 6);
  const double peak = -std::log(6) - 2 * std::log(0.05) - log_two_pi;
  std::vector<double> centres;
  for (int k = 0; k < 6; ++k) {
    centres.push_back(std::cos(k * angle));
    centres.push_back(std::sin(k * angle));
  }
  CHECK(difference(log_densities(circle, centres), std::vector<double>(6, peak),
                   8 * epsilon<T> * std::fabs(peak)) == "");

  const auto normal = standard_normal<T>(exec, 3);
  CHECK((normal.components() == 1 && normal.dimension() == 3));
  CHECK(difference(log_densities(normal, {1, -2, 2}), {-4.5 - 1.5 * log_two_pi}, 16 * epsilon<T>) ==
        "");
}

TEMPLATE_LIST_TEST_CASE("a mixture's draws have its weights, means and deviations",
                        "[data][mixture]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const std::vector<double> means = {-4, 2, 1, 8, 0.5, -3, 0, 0, 0}, deviations = {0.5, 0.25, 2},
                            weights = {0.125, 0.625, 0.25};
  const GaussianMixture<T, Exec> mixture(exec, 3, means, deviations, weights);
  constexpr int count = 40000;
  const auto x = test::numbers_of(draw_all(exec, mixture, count, 11, Purpose::target));
  const Table<T, Exec> components("components", count, 1);
  Kokkos::parallel_for("components", Kokkos::RangePolicy<Exec>(0, count),
                       Components<T, Exec>{mixture, RandomStream(11, Purpose::target), components});
  const auto component = test::numbers_of(components);

  for (std::size_t k = 0; k < 3; ++k) {
    // Standardised: without dependence between component and normals these are N(0, 1).
    double n = 0;
    std::vector<double> sum(3), squares(3);
    for (std::size_t i = 0; i < count; ++i) {
      if (component[i] != static_cast<double>(k)) continue;
      ++n;
      for (std::size_t d = 0; d < 3; ++d) {
        const double z = (x[3 * i + d] - means[3 * k + d]) / deviations[k];
        sum[d] += z;
        squares[d] += z * z;
      }
    }
    // Five standard errors.
    CHECK(std::fabs(n / count - weights[k]) <=
          5 * std::sqrt(weights[k] * (1 - weights[k]) / count));
    for (std::size_t d = 0; d < 3; ++d) {
      CHECK(std::fabs(sum[d] / n) <= 5 / std::sqrt(n));
      CHECK(std::fabs(squares[d] / n - 1) <= 5 * std::sqrt(2 / n));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a draw depends on its address alone", "[data][mixture]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  for (const int dimension : {1, 2, 5}) {
    const GaussianMixture<T, Exec> mixture(
        exec, dimension, std::vector<double>(static_cast<std::size_t>(2 * dimension), 1), {1, 3});
    // Across the border where the sample's number needs its second word.
    const std::uint64_t first = (std::uint64_t(1) << 32) - 30;
    const auto draws = [&](int count, std::uint64_t from, std::uint32_t seed = 5,
                           Purpose purpose = Purpose::source, std::uint32_t step = 7) {
      return test::numbers_of(draw_all(exec, mixture, count, seed, purpose, from, step));
    };
    const auto whole = draws(60, first);
    auto parts = draws(23, first);
    for (const double value : draws(37, first + 23)) parts.push_back(value);
    CHECK(whole == parts);
    CHECK(whole != draws(60, first + 1));
    CHECK(whole != draws(60, first, 6));
    CHECK(whole != draws(60, first, 5, Purpose::target));
    CHECK(whole != draws(60, first, 5, Purpose::source, 8));
  }
  CHECK(draw_all(exec, standard_normal<T>(exec, 2), 0, 1, Purpose::source).extent(0) == 0);
}

TEST_CASE("a mixture's arguments are checked", "[data][mixture]") {
  const Kokkos::DefaultExecutionSpace exec;
  using Mixture = GaussianMixture<double, Kokkos::DefaultExecutionSpace>;
  using List = std::vector<double>;
  const auto error = [&](int dimension, const List& means, const List& deviations,
                         const List& weights) {
    return thrown<std::invalid_argument>(
        [&] { Mixture(exec, dimension, means, deviations, weights); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(error(0, {1}, {1}, {}) == "vrfm: GaussianMixture: dimension must be positive, but is 0");
  CHECK(error(2, {1, 2, 3}, {1}, {}) ==
        "vrfm: GaussianMixture: means must hold 2 numbers per component, but hold 3");
  CHECK(error(2, {}, {1}, {}) ==
        "vrfm: GaussianMixture: means must hold 2 numbers per component, but hold 0");
  CHECK(error(1, {1, 2, 3}, {1, 2}, {}) ==
        "vrfm: GaussianMixture: expected 1 or 3 deviations, but got 2");
  CHECK(error(1, {1, 2}, {1}, {1}) ==
        "vrfm: GaussianMixture: expected none or 2 weights, but got 1");
  for (const double bad : {0.0, -1.0, nan, infinity}) {
    CHECK(contains(error(1, {1, 2}, {1, bad}, {}), "deviations must be positive and finite"));
    CHECK(contains(error(1, {1, 2}, {1}, {bad, 1}), "weights must be positive and finite"));
  }
  CHECK(contains(error(1, {nan}, {1}, {}), "means must be finite"));
  CHECK(thrown<std::invalid_argument>([&] { mixture_on_circle<float>(exec, 0, 1, 1); }) ==
        "vrfm: mixture_on_circle: count must be positive, but is 0");
  CHECK(thrown<std::invalid_argument>([&] { standard_normal<float>(exec, -1); }) ==
        "vrfm: standard_normal: dimension must be positive, but is -1");
  CHECK(thrown<std::invalid_argument>([&] {
          draw_all(exec, standard_normal<float>(exec, 1), -2, 1, Purpose::source);
        }) == "vrfm: draw_all: the number of samples must not be negative, but is -2");
  CHECK(contains(thrown<std::invalid_argument>([&] {
                   draw_all(exec, standard_normal<float>(exec, 1), 5'000'000'000, 1,
                            Purpose::source);
                 }),
                 "draw_all: the number of samples is 5000000000, but must be in"));
  CHECK(thrown<std::invalid_argument>([&] {
          draw_all(exec, standard_normal<float>(exec, 1), 2, std::uint64_t{1} << 40,
                   Purpose::source);
        }) == "vrfm: draw_all: the seed is 1099511627776, but must be in 0 to 4294967295");
}

namespace {

/// The least that a source is.
struct Diagonal {
  KOKKOS_FUNCTION int dimension() const { return 2; }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t, const vrfm::RandomStream&,
                            T* x) const {
    x[0] = x[1] = static_cast<T>(sample);
  }
};

}  // namespace

TEST_CASE("draw_all takes a source that names no number type", "[data]") {
  const Kokkos::DefaultExecutionSpace exec;
  const auto table =
      vrfm::draw_all<double>(exec, Diagonal{}, 3, /*seed=*/1, vrfm::Purpose::target, /*first=*/5);
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), table);
  CHECK((host(0, 0) == 5 && host(2, 1) == 7));
}
