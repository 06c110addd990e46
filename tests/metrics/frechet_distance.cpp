// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feature statistics and the Frechet distance: by hand, NumPy's and SciPy's values, covariances
// without full rank, files of statistics.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/metrics.hpp>
#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/frechet_distance.hpp>
#include <vrfm/metrics/statistics_file.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

namespace {

/// x [N][D] times m [D][D].
std::vector<double> product(const std::vector<double>& x, const std::vector<double>& m,
                            std::size_t d) {
  std::vector<double> y(x.size(), 0.0);
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t k = 0; k < d; ++k) y[i] += x[i / d * d + k] * m[k * d + i % d];
  return y;
}

double trace(const FeatureStatistics& s) {
  double sum = 0;
  for (std::size_t i = 0; i < s.mean.size(); ++i) sum += s.covariance[i * (s.mean.size() + 1)];
  return sum;
}

/// What the distance of two sets may be off by: a few roundings of each of the D eigenvalues and
/// singular values, which are as large as the traces at most.
double bound(const FeatureStatistics& a, const FeatureStatistics& b) {
  return 8 * epsilon<double> * static_cast<double>(a.mean.size()) * (trace(a) + trace(b));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("feature statistics agree with NumPy", "[metrics][frechet]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto mixed = product(Numbers(11).take(1500 * 12), Numbers(13).take(144), 12);
  // More rows than are multiplied at a time.
  const auto s = feature_statistics(exec, test::table<T, Exec>(1500, 12, mixed));
  CHECK(test::difference(s.mean, test::expected::mixed_mean, 4 * epsilon<T>) == "");
  CHECK(test::difference(s.covariance, test::expected::mixed_covariance, 8 * epsilon<T>) == "");
  // A mean far from the origin costs what the features themselves lost.
  auto far = mixed;
  for (double& value : far) value += 1024;
  const auto moved = feature_statistics(exec, test::table<double, Exec>(1500, 12, far));
  CHECK(test::difference(moved.covariance, test::expected::mixed_covariance,
                         1024 * 8 * epsilon<double>) == "");
}

TEMPLATE_LIST_TEST_CASE("feature statistics by hand", "[metrics][frechet]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto s = feature_statistics(Exec(), test::table<T, Exec>(3, 2, {1, 2, 3, 2, 5, 8}));
  CHECK(s.mean == std::vector<double>{3, 4});
  CHECK(s.covariance == std::vector<double>{4, 6, 6, 12});
}

TEMPLATE_LIST_TEST_CASE("Frechet distance by hand", "[metrics][frechet]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // In one dimension (mu1 - mu2)^2 + (sigma1 - sigma2)^2.
  const FeatureStatistics a{{0}, {9}}, b{{4}, {1}};
  CHECK(std::fabs(frechet_distance(a, b) - 20) <= bound(a, b));
  // Constant features: nothing but the means.
  const auto p = test::table<T, Exec>(3, 2, {1, 2, 1, 2, 1, 2});
  const auto q = test::table<T, Exec>(2, 2, {4, 6, 4, 6});
  CHECK(frechet_distance(exec, p, q) == 25);
  // All samples doubled and shifted: tr C (1 - 2)^2 and the way of the mean.
  auto values = Numbers(1).take(50 * 6);
  const auto x = test::table<T, Exec>(50, 6, values);
  for (double& value : values) value = 2 * value;
  const auto y = test::table<T, Exec>(50, 6, values);
  const auto s = feature_statistics(exec, x), t = feature_statistics(exec, y);
  double mean = 0;
  for (const double m : s.mean) mean += m * m;
  CHECK(std::fabs(frechet_distance(exec, x, y) - (mean + trace(s))) <= bound(s, t));
}

TEMPLATE_LIST_TEST_CASE("Frechet distance agrees with SciPy", "[metrics][frechet]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto full = Numbers(11).take(1500 * 12);
  auto shifted = Numbers(12).take(1100 * 12), fewer = Numbers(15).take(9 * 40);
  for (double& value : shifted) value = 2 * value * value - 1;
  for (double& value : fewer) value *= 2;
  const auto close = [&](const auto& x, const auto& y, double expected) {
    const auto a = feature_statistics(exec, x), b = feature_statistics(exec, y);
    // The features themselves are rounded to T.
    const double tolerance = bound(a, b) + 8 * epsilon<T> * (trace(a) + trace(b));
    CHECK(std::fabs(frechet_distance(a, b) - expected) <= tolerance);
    CHECK(std::fabs(frechet_distance(b, a) - expected) <= tolerance);
    CHECK(std::fabs(frechet_distance(exec, x, y) - expected) <= tolerance);
  };
  const auto b = test::table<T, Exec>(1100, 12, shifted);
  close(test::table<T, Exec>(1500, 12, full), b, test::expected::frechet_full);
  close(test::table<T, Exec>(1500, 12, product(full, Numbers(13).take(144), 12)), b,
        test::expected::frechet_mixed);
  const auto few = test::table<T, Exec>(20, 40, Numbers(14).take(20 * 40));
  close(few, test::table<T, Exec>(9, 40, fewer), test::expected::frechet_deficient);
  close(test::table<T, Exec>(200, 40, Numbers(16).take(200 * 40)), few,
        test::expected::frechet_half_deficient);
}

TEST_CASE("Frechet distance of equal sets is nothing", "[metrics][frechet]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  struct Size {
    std::size_t rows, dimensions;
  };
  for (const auto [rows, dimensions] : {Size{2, 1}, Size{400, 90}, Size{30, 90}, Size{2, 200}}) {
    CAPTURE(rows, dimensions);
    auto values = Numbers(3).take(rows * dimensions);
    // Eigenvalues over six orders of magnitude.
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] *= std::pow(
          10, -3.0 * static_cast<double>(i % dimensions) / static_cast<double>(dimensions));
    const auto x = test::table<double, Exec>(rows, dimensions, values);
    const auto s = feature_statistics(exec, x);
    CHECK(frechet_distance(s, s) <= bound(s, s));
    // The same samples in another order.
    std::vector<double> reversed;
    for (std::size_t i = rows; i-- > 0;)
      reversed.insert(reversed.end(), values.begin() + static_cast<std::ptrdiff_t>(i * dimensions),
                      values.begin() + static_cast<std::ptrdiff_t>((i + 1) * dimensions));
    const auto y = test::table<double, Exec>(rows, dimensions, reversed);
    CHECK(frechet_distance(exec, x, y) <= bound(s, s));
  }
}

TEST_CASE("statistics come back from files to the bit, and from other tools' in float",
          "[metrics][frechet]") {
  const test::TemporaryFolder folder;
  const FeatureStatistics s{{0.1, 0.2}, {1.5, 0.3, 0.3, 2.5}};
  save_statistics(folder / "s.npz", s);
  const auto back = load_statistics(folder / "s.npz");
  CHECK(back.mean == s.mean);
  CHECK(back.covariance == s.covariance);

  const std::vector<float> mu{0.1f, 0.2f}, sigma{1.5f, 0.3f, 0.3f, 2.5f};
  const std::vector<double> more{1};
  write_npz(folder / "f.npz",
            std::vector{make_tensor("mu", {2}, mu), make_tensor("other", {1}, more),
                        make_tensor("sigma", {2, 2}, sigma)});
  const auto stored = load_statistics(folder / "f.npz");
  CHECK(stored.mean == std::vector<double>(mu.begin(), mu.end()));
  CHECK(stored.covariance == std::vector<double>(sigma.begin(), sigma.end()));

  const auto error = [&](const char* file) {
    return test::thrown<std::runtime_error>([&] { load_statistics(folder / file); });
  };
  write_npz(folder / "shape.npz",
            std::vector{make_tensor("mu", {2}, mu), make_tensor("sigma", {4}, sigma)});
  CHECK(test::contains(error("shape.npz"),
                       "shape.npz: expected 'mu' of shape [D] and 'sigma' of shape [D, D], found "
                       "[2] and [4]"));
  write_npz(folder / "mu.npz", std::vector{make_tensor("mu", {2}, mu)});
  CHECK(test::contains(error("mu.npz"), "expected an array 'sigma', found 'mu.npy'"));
}

TEST_CASE("Frechet distance checks its arguments", "[metrics][frechet]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto line = test::table<float, Exec>(2, 1, {1, 2}),
             one = test::table<float, Exec>(1, 1, {1});
  const auto plane = test::table<float, Exec>(2, 2, {1, 2, 3, 4});
  const auto bad = test::table<float, Exec>(2, 1, {1, nan});
  CHECK(error([&] { frechet_distance(exec, line, plane); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { frechet_distance(exec, line, one); }) ==
        "vrfm: feature_statistics: expected at least two rows, but got 1");
  CHECK(error([&] { frechet_distance(exec, bad, line); }) ==
        "vrfm: feature_statistics: features: row 1 holds a number that is not finite");
  CHECK(error([&] { feature_statistics(exec, Table<float, Exec>("empty", 0, 2)); }) ==
        "vrfm: feature_statistics: features: expected at least one sample, but got 0 rows of 2 "
        "columns");
  const FeatureStatistics good{{0, 0}, {1, 0, 0, 1}};
  const auto distance = [&](const FeatureStatistics& s) {
    return error([&] { frechet_distance(good, s); });
  };
  CHECK(distance({{0}, {1}}) == "vrfm: a has 2 dimensions but b has 1 dimensions");
  CHECK(distance({{0, 0}, {1, 0, 0}}) ==
        "vrfm: frechet_distance: b: expected means of D >= 1 dimensions and D x D covariances, but "
        "got 2 and 3");
  CHECK(error([] { frechet_distance({}, {}); }) ==
        "vrfm: frechet_distance: a: expected means of D >= 1 dimensions and D x D covariances, but "
        "got 0 and 0");
  CHECK(distance({{0, nan}, {1, 0, 0, 1}}) ==
        "vrfm: frechet_distance: b holds a number that is not finite");
  CHECK(distance({{0, 0}, {1, nan, nan, 1}}) ==
        "vrfm: frechet_distance: b holds a number that is not finite");
  CHECK(distance({{0, 0}, {1, 0.5, 0, 1}}) ==
        "vrfm: frechet_distance: b: expected a symmetric covariance");
  CHECK(test::contains(distance({{0, 0}, {1, 0, 0, -1}}),
                       "b: expected a covariance without negative eigenvalues, but one is -1"));
}
