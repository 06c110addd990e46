// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The closed form of linear paths between mixtures, against numerical integration and at the ends.
#include <cmath>
#include <stdexcept>
#include <vector>

#include <tests/golden/metrics.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/mixture_path.hpp>

using namespace vrfm;
using vrfm::test::difference, vrfm::test::epsilon;

namespace {

/// Row i of x holds t and then x; row i of out gets log p, the mean and the variance.
template <class T, class Exec>
struct Moments {
  MixturePath<T, Exec> path;
  Table<T, Exec> x, out;
  KOKKOS_FUNCTION void operator()(int i) const {
    out(i, 0) = path.log_density(&x(i, 1), x(i, 0));
    path.velocity_moments(&x(i, 1), x(i, 0), &out(i, 1), &out(i, 1 + path.dimension()));
  }
};

template <class T, class Exec>
std::vector<double> moments(const MixturePath<T, Exec>& path, const std::vector<double>& points) {
  const auto cols = static_cast<std::size_t>(path.dimension());
  const auto x = test::table<T, Exec>(points.size() / (1 + cols), 1 + cols, points);
  const Table<T, Exec> out("out", x.extent(0), 1 + 2 * cols);
  Kokkos::parallel_for("moments", Kokkos::RangePolicy<Exec>(0, x.extent(0)),
                       Moments<T, Exec>{path, x, out});
  return test::numbers_of(out);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("velocity moments between mixtures agree with integration",
                        "[data][mixture_path]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const MixturePath<T, Exec> path(
      GaussianMixture<T, Exec>(exec, 1, {-0.5, 1}, {0.75, 0.5}),
      GaussianMixture<T, Exec>(exec, 1, {-1, 1}, {0.25, 0.5}, {0.25, 0.75}));
  const auto actual = moments(path, {0.25, 0, 0.5, -0.75, 0.75, 0.5, 0.875, 1.5});
  std::vector<double> expected;
  for (std::size_t i = 0; i < 4; ++i) {
    expected.push_back(test::expected::path_log_density[i]);
    expected.push_back(test::expected::path_velocity[i]);
    expected.push_back(test::expected::path_variance[i]);
  }
  // The integrals are good to about 1e-13, 500 epsilon of double.
  CHECK(difference(actual, expected, epsilon<T> * (sizeof(T) == 4 ? 64 : 2048)) == "");
}

TEMPLATE_LIST_TEST_CASE("velocity moments at the ends of a path", "[data][mixture_path]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // N(0, I / 4) to equal N((+-2, 1), 4 I): at t = 0, x_t = x0 tells nothing about x1, and at
  // t = 1 nothing about x0.
  const MixturePath<T, Exec> path(GaussianMixture<T, Exec>(exec, 2, {0, 0}, {0.5}),
                                  GaussianMixture<T, Exec>(exec, 2, {-2, 1, 2, 1}, {2}));
  const auto actual = moments(path, {0, 0.5, -1, 1, 0, 1});
  const double log_two_pi = 1.83787706640934548356;
  const std::vector<double> expected = {-log_two_pi - std::log(0.25) - (0.25 + 1) / (2 * 0.25),
                                        -0.5,
                                        2,
                                        4 + 4,
                                        4,  // t = 0
                                        -log_two_pi - std::log(4) - 4.0 / (2 * 4),
                                        0,
                                        1,
                                        0.25,
                                        0.25};  // t = 1
  CHECK(difference(actual, expected, 64 * epsilon<T>) == "");
}

TEST_CASE("a path's mixtures have one dimension", "[data][mixture_path]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  CHECK(test::thrown<std::invalid_argument>([&] {
          MixturePath<float, Exec>(standard_normal<float>(exec, 1),
                                   standard_normal<float>(exec, 2));
        }) == "vrfm: MixturePath: source has 1 dimensions but target has 2");
}
